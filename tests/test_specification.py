"""Descriptions of objects: what can be registered, described and built, and what is refused with a mend."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

import mfmgdm_lib as mm
import mfmgdm_lib.models  # which registers all of the library, before a test takes its own registrations back
from mfmgdm_lib import specification
from mfmgdm_lib.energies import Autocovariance, Concatenate, Energy, ScatteringMean, StylizedFacts
from mfmgdm_lib.processes import AR, Process, WhiteNoise
from mfmgdm_lib.specification import parse
from mfmgdm_lib.support import REAL_LINE


@pytest.fixture(autouse=True)
def _registered_for_one_test(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(specification, "_KNOWN", dict(specification._KNOWN))
    yield


class Moments(Energy):
    """An energy of a user's own, with arguments of every kind."""

    def __init__(self, powers: Tensor, weights: np.ndarray, inner: Energy | None = None, *, name: str = "moment"):
        self.powers, self.weights, self.inner, self.name = powers, np.asarray(weights), inner, name
        self.labels = tuple(f"{name} {int(power)}" for power in powers)

    def _evaluate(self, x: Tensor) -> Tensor:
        return x.unsqueeze(-1).pow(self.powers.to(x)).mean(-2) * torch.as_tensor(self.weights).to(x)


def there_and_back(obj: object) -> object:
    return mm.from_spec(json.loads(json.dumps(mm.spec(obj))))


def test_class_of_the_user_s_own_comes_back_after_it_is_registered() -> None:
    energy = Moments(torch.tensor([1, 2, 3]), np.array([1.0, 0.5, 1 / 3]), inner=StylizedFacts(2))
    with pytest.raises(TypeError, match=r"the class Moments; expected one that is registered: Abs.*mm\.register\(Mom"):
        mm.spec(energy)
    assert mm.register(Moments) is Moments
    again = there_and_back(energy)
    assert isinstance(again, Moments) and again.powers.dtype == torch.int64 and again.inner.lags == 2
    x = WhiteNoise().sample(2, 8, seed=0)
    assert torch.equal(again(x), energy(x))
    assert mm.spec(Moments(torch.tensor([2]), np.array([1.0]))).keys() == {"type", "powers", "weights", "name"}


def test_part_that_is_not_registered_is_named_with_the_way_to_it() -> None:
    both = Concatenate(Autocovariance(), Moments(torch.tensor([1]), np.array([1.0])))
    with pytest.raises(TypeError, match=r"^energies\.1 is .* of the class Moments"):
        mm.spec(both)
    with pytest.raises(TypeError, match=r"^coefficients is \{1: 2\} of the class dict"):
        process = AR([0.1])
        process.coefficients = {1: 2}  # type: ignore[assignment]
        mm.spec(process)


def test_tensors_stand_beside_a_description_by_the_way_to_them() -> None:
    mm.register(Moments)
    both = Concatenate(Autocovariance(), Moments(torch.tensor([1.0, 2.0]), np.array([1.0, 0.1])))
    arrays: dict[str, np.ndarray] = {}
    description = mm.spec(both, arrays)
    assert list(arrays) == ["energies.1.powers"] and description["energies"][1]["powers"] == {
        "array": "energies.1.powers"
    }
    assert mm.from_spec(description, arrays).labels == both.labels
    for beside in (None, {}, {"energies.1.powers": np.array("text")}):
        with pytest.raises(ValueError, match=r"a tensor is described by .*, which is not there or none"):
            mm.from_spec(description, beside)


def test_one_name_is_for_one_class_which_may_be_defined_anew() -> None:
    with pytest.raises(ValueError, match=r"AR is the name of <class 'mfmgdm_lib.*>; expected another one.*Pass name="):
        mm.register(type("AR", (WhiteNoise,), {}))
    first, second = (type("Own", (WhiteNoise,), {}) for _ in range(2))  # as when a cell of a notebook is run again
    mm.register(first)
    mm.register(second)
    assert type(mm.from_spec({"type": "Own"})) is second
    with pytest.raises(TypeError, match=r"of the class Own; expected one that is registered"):
        mm.spec(first())
    mm.register(first, name="former own")
    assert mm.spec(first()) == {"type": "former own", "mean": 0.0, "stddev": 1.0}


def test_arguments_that_a_signature_does_not_name_are_given() -> None:
    class Loose(WhiteNoise):
        def __init__(self, **options: float) -> None:
            super().__init__(**options)

    with pytest.raises(TypeError, match=r"Loose takes any keywords; .*register\(cls, arguments="):
        mm.register(Loose)
    mm.register(Loose, arguments=("mean", "stddev"))
    assert there_and_back(Loose(stddev=2.0)).stddev == 2.0


def test_argument_without_an_attribute_is_said() -> None:
    @mm.register
    class Forgetful(WhiteNoise):
        def __init__(self, spread: float) -> None:
            super().__init__(0.0, spread)

    with pytest.raises(TypeError, match=r"Forgetful has no attribute 'spread'.*Keep it as self\.spread"):
        mm.spec(Forgetful(2.0))


def test_single_object_is_known_by_its_name() -> None:
    assert there_and_back(REAL_LINE) is REAL_LINE
    marker = object()
    with pytest.raises(TypeError, match=r"name is None for <object .*Pass one"):
        mm.register(marker)
    mm.register(marker, "marker")
    assert there_and_back(marker) is marker
    with pytest.raises(ValueError, match=r"marker is described with size; expected its arguments \(none\)"):
        mm.from_spec({"type": "marker", "size": 1})


@pytest.mark.parametrize(
    ("description", "said"),
    [
        ({"type": "os.system", "command": "true"}, r"type is 'os\.system'; expected one of AR, .*mm\.register"),
        ({"type": ["AR"]}, r"type is \['AR'\]; expected one of AR"),
        ({"coefficients": [0.1]}, r"type is None; expected one of AR"),
        ("AR", r"type is None; expected one of AR"),
        ({"type": "AR"}, r"AR cannot be built from its description .*coefficients"),
        ({"type": "AR", "coefficients": [2.0]}, r"AR cannot be built .*not stationary"),
        (
            {"type": "AR", "coefficients": [0.1], "order": 1},
            r"AR is described with order; expected its arguments coeff",
        ),
        ({"type": "StylizedFacts", "lags": 2}, r"type is StylizedFacts; expected one of AR, ARGARCH, BurnIn, CIR"),
        (
            {"type": "CIR", "kappa": {"type": "AR", "coefficients": [0.1]}, "theta": 1, "sigma": 1},
            r"CIR cannot be built",
        ),
        ({"type": "CIR", "kappa": {"array": [1.0], "shape": [2], "dtype": "float64"}}, r"a tensor is described by"),
        ({"type": "CIR", "kappa": {"array": [1.0], "shape": [1], "dtype": "load"}}, r"a tensor is described by"),
    ],
)
def test_description_of_anything_else_is_refused(description: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        mm.from_spec(description, kind=Process)


def test_numbers_come_back_to_the_last_bit() -> None:
    value = math.nextafter(0.1, 1.0)
    assert there_and_back(AR([value], 1 / 3)).coefficients[0] == value
    energy = Moments(torch.tensor([1.0]), np.array([value]))
    mm.register(Moments)
    assert there_and_back(energy).weights[0] == value
    target = mm.Target(torch.tensor([value]), torch.tensor([math.nan]), ("a",), "σ")
    again = there_and_back(target)
    assert torch.equal(again.mean, target.mean) and again.mean.dtype == torch.float32
    assert again.standard_error.isnan().all() and again.source == "σ"


def test_calls_are_read_and_nothing_else() -> None:
    both = Concatenate(ScatteringMean(256, J=4, wavelets=(2, 3)), Autocovariance())
    assert repr(mm.from_spec(parse(repr(both)))) == repr(both)
    assert parse("AR([-0.1, 2e-1], innovation_std=1)") == {
        "type": "AR",
        "coefficients": [-0.1, 0.2],
        "innovation_std": 1,
    }
    texts = ["os.system('true')", "__import__('os')", "AR([x])", "AR([0.1]) + 1", "AR(*[1])", "AR(**{})", "AR", "1", ""]
    for text in [*texts, "AR(", "AR(" * 5000, "AR([0.1] * 9)", "AR(coefficients=[1], order=2)", "[AR([0.1])]", "\0"]:
        with pytest.raises(ValueError, match=r"no call that can be read"):
            parse(text)
