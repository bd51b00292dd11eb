"""Streams of paths: equal to `sample`, constant memory, and files written whole or not at all."""

from __future__ import annotations

import json
import resource
import signal
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner, Result

import mfmgdm_lib as mm
from mfmgdm_lib import cli
from mfmgdm_lib._arrays import load_arrays, save_arrays
from mfmgdm_lib.energies import (
    Autocovariance,
    Energy,
    Linear,
    ScatteringCovariance,
    ScatteringMean,
    ScatteringSpectra,
    StylizedFacts,
)
from mfmgdm_lib.errors import DivergedError
from mfmgdm_lib.io import streaming
from mfmgdm_lib.io.streaming import DTYPES, STREAM_SUFFIXES, stream_paths
from mfmgdm_lib.processes import AR, Process, StudentNoise, TruncatedGaussian, WhiteNoise

N, LENGTH = 23, 64

every_format = pytest.mark.parametrize("suffix", STREAM_SUFFIXES)


def build(
    energy: Energy | None = None,
    start: Process | None = None,
    *,
    members: int | None = None,
    length: int = LENGTH,
    n_steps: int = 3,
) -> mm.FrozenFlow:
    """A few steps towards the energies of an AR(1)."""
    energy, start = Autocovariance() if energy is None else energy, WhiteNoise() if start is None else start
    target = mm.estimate_target(energy, AR([0.5]), n_samples=50, length=length, seed=1)
    model = mm.Model(energy, target, 0.5, ensemble_size=members, support=start.support)
    return model.freeze(start.sample(40, length, seed=5), n_steps, start=start)


@pytest.fixture(scope="module")
def flow() -> mm.FrozenFlow:
    return build()


def read(path: Path) -> np.ndarray:
    """The paths in a file, by the programs that others would use."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            paths: np.ndarray = arrays["paths"]
            return paths
    return np.stack(pd.read_parquet(path)["path"].to_list())


# --- the paths ---------------------------------------------------------------------------------------------------


@every_format
@pytest.mark.parametrize("batch", [1, 7, N, 1000, None])
def test_paths_are_those_of_sample_to_the_last_bit(
    flow: mm.FrozenFlow, tmp_path: Path, suffix: str, batch: int | None
) -> None:
    # A step of `Autocovariance` adds multiples of entries: there are no sums that a batch could take otherwise.
    path = stream_paths(flow, N, tmp_path / f"paths{suffix}", seed=(0, 1), batch=batch)
    np.testing.assert_array_equal(read(path), flow.sample(N, seed=(0, 1)).numpy(), strict=True)


OTHERS = {
    "energies of sums": (StylizedFacts(lags=5), None, 1, LENGTH),
    "energies of transforms": (ScatteringMean(256, J=4, wavelets=(2, 3)), None, None, 256),
    "a start of matrix products": (None, AR([0.2, -0.1]), None, LENGTH),
    "a start with tails": (None, StudentNoise(5.0), None, LENGTH),
}


@pytest.mark.parametrize(("energy", "start", "members", "length"), OTHERS.values(), ids=list(OTHERS))
def test_paths_do_not_depend_on_the_batch_but_for_round_off(
    energy: Energy | None, start: Process | None, members: int | None, length: int, tmp_path: Path
) -> None:
    flow = build(energy, start, members=members, length=length)
    expected = flow.sample(N, seed=0).numpy()
    assert np.abs(expected - flow.start.sample(N, length, seed=0).numpy()).max() > 1e-3  # there is something to do
    for batch in (3, N):
        found = read(stream_paths(flow, N, tmp_path / f"{batch}.npz", seed=0, batch=batch))
        # Sums of 2⁸ terms in another order are off by less than 2⁸ ε ≈ 6e-14 of their largest term, below 10 here; the
        # three steps are small, and do not make more of it.
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("batch", [1, 4, 5, 100])
def test_start_that_is_drawn_all_at_once_is_drawn_in_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    flow = build(start=TruncatedGaussian(0.1, 1.0))
    monkeypatch.setattr(streaming, "_BLOCK_POINTS", 10 * LENGTH)
    found = read(stream_paths(flow, N, tmp_path / "paths.npz", seed=0, batch=batch))
    rng = np.random.default_rng(0)
    blocks = [flow.sample(n, seed=rng).numpy() for n in (10, 10, 3)]
    np.testing.assert_array_equal(found, np.concatenate(blocks))
    np.testing.assert_array_equal(found[:10], flow.sample(10, seed=0).numpy())


def test_path_that_diverges_is_named_among_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flow, sick = build(n_steps=1), 17
    starts = torch.zeros(N, LENGTH, dtype=torch.float64)
    starts[sick], flow.mismatches = 1e200, torch.full((1, 2), 1e200, dtype=torch.float64)
    monkeypatch.setattr(streaming, "_starts", lambda flow, n, batch, rng: iter(starts.split(batch)))
    with pytest.raises(DivergedError, match=rf"^path {sick} is not finite"):
        stream_paths(flow, N, tmp_path / "paths.npz", seed=0, batch=5)
    assert not any(tmp_path.iterdir())


def test_memory_does_not_grow_with_the_number_of_paths(
    flow: mm.FrozenFlow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def peak(n_paths: int) -> int:
        """Bytes that NumPy and Python have at once: starts, and what is on its way into the file."""
        tracemalloc.start()
        stream_paths(flow, n_paths, tmp_path / "paths.npz", seed=0, batch=50, force=True)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    made: list[weakref.ref[torch.Tensor]] = []  # torch's own memory is not traced, but tensors can be counted

    def transform(x0: torch.Tensor) -> torch.Tensor:
        assert sum(found() is not None for found in made) <= 1
        paths = x0.clone()
        made.append(weakref.ref(paths))
        return paths

    monkeypatch.setattr(flow, "transform", transform)
    peak(100)  # what is kept for good is allocated now
    # A batch is 50 · 64 · 8 = 26 kB, and 1000 paths are 512 kB. Twenty times the paths may cost a batch more.
    assert peak(1000) < peak(50) + 50 * LENGTH * 8


def test_bar_counts_paths(flow: mm.FrozenFlow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    class Bar:
        def update(self, n: int) -> None:
            seen.append(n)

    @contextmanager
    def counter(*, total: int, description: str) -> Iterator[Bar]:
        assert (total, description) == (N, "paths")
        yield Bar()

    monkeypatch.setattr(streaming, "counter", counter)
    stream_paths(flow, N, tmp_path / "paths.npz", seed=0, batch=10)
    assert seen == [10, 10, 3]


# --- the file ----------------------------------------------------------------------------------------------------


@every_format
@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_have_the_format_asked_for(flow: mm.FrozenFlow, tmp_path: Path, suffix: str, dtype: str) -> None:
    found = read(stream_paths(flow, N, tmp_path / f"paths{suffix}", seed=0, dtype=dtype))
    np.testing.assert_array_equal(found, flow.sample(N, seed=0).numpy().astype(dtype), strict=True)


@every_format
def test_file_says_what_it_is_and_is_the_same_again(
    flow: mm.FrozenFlow, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    first, second = (stream_paths(flow, N, tmp_path / f"{k}{suffix}", seed=(2, 12345)) for k in (1, 2))
    assert first.read_bytes() == second.read_bytes()
    about = pd.read_parquet(first).attrs if suffix == ".parquet" else {k: str(v) for k, v in np.load(first).items()}
    assert about["flow"] == repr(flow) and about["seed"] == "(2, 12345)" and about["version"] == mm.__version__
    assert about["kind"] == "paths of a frozen flow"


def test_parquet_has_a_row_of_fixed_length_for_each_path_in_groups_of_a_batch(
    flow: mm.FrozenFlow, tmp_path: Path
) -> None:
    path = stream_paths(flow, N, tmp_path / "paths.parquet", seed=0, batch=10)
    file = pq.ParquetFile(path)
    assert [file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)] == [10, 10, 3]
    assert file.schema_arrow.field("path").type.list_size == LENGTH
    pieces = [batch["path"].flatten().to_numpy().reshape(-1, LENGTH) for batch in file.iter_batches(batch_size=4)]
    np.testing.assert_array_equal(np.concatenate(pieces), flow.sample(N, seed=0).numpy())


def test_damaged_npz_is_found_out(flow: mm.FrozenFlow, tmp_path: Path) -> None:
    path = stream_paths(flow, N, tmp_path / "paths.npz", seed=0)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(Exception, match="Bad CRC-32"):
        read(path)


@every_format
def test_file_that_is_there_is_kept_unless_it_may_go(flow: mm.FrozenFlow, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"paths{suffix}"
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="is there already"):
        stream_paths(flow, N, path, seed=0)
    assert path.read_bytes() == b"mine"
    stream_paths(flow, N, path, seed=0, force=True)
    assert path.read_bytes() != b"mine" and list(tmp_path.iterdir()) == [path]


class Spoiler(WhiteNoise):
    """Does something before the third draw."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__()
        self.act, self.draws = act, 0

    def sample(self, n: int, length: int, seed: object) -> torch.Tensor:
        self.draws += 1
        if self.draws == 3:
            self.act()
        return super().sample(n, length, seed)


def spoiled(act: Callable[[], object]) -> mm.FrozenFlow:
    flow = build()
    flow.start = Spoiler(act)
    return flow


@every_format
def test_file_that_has_come_meanwhile_is_kept(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"paths{suffix}"
    with pytest.raises(FileExistsError, match="is there already"):
        stream_paths(spoiled(lambda: path.write_bytes(b"mine")), N, path, seed=0, batch=5)
    assert path.read_bytes() == b"mine" and list(tmp_path.iterdir()) == [path]


@every_format
@pytest.mark.parametrize("there", [False, True])
def test_interrupted_stream_leaves_nothing_of_its_own(tmp_path: Path, suffix: str, there: bool) -> None:
    path = tmp_path / f"paths{suffix}"
    if there:
        path.write_bytes(b"mine")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            stream_paths(spoiled(lambda: signal.raise_signal(signal.SIGINT)), N, path, seed=0, batch=5, force=True)
    finally:
        signal.signal(signal.SIGINT, before)
    assert [left.read_bytes() for left in tmp_path.iterdir()] == [b"mine"] * there


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let no file grow beyond `size` bytes: a full disk that needs no disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@every_format
def test_disk_without_room_is_said_and_nothing_is_left(flow: mm.FrozenFlow, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"paths{suffix}"
    path.write_bytes(b"mine")
    with room_for(1000 * LENGTH), pytest.raises(OSError, match=r"could not be written.*Free some space"):
        stream_paths(flow, 200, path, seed=0, batch=20, force=True)
    assert path.read_bytes() == b"mine" and list(tmp_path.iterdir()) == [path]


BAD = [
    ({"n_paths": 0}, ValueError, r"n_paths is 0; expected"),
    ({"n_paths": 2.5}, TypeError, r"n_paths is 2\.5"),
    ({"batch": 0}, ValueError, r"batch is 0; expected"),
    ({"dtype": "float16"}, ValueError, r"dtype is 'float16'; expected one of 'float64', 'float32'"),
    ({"seed": "a"}, TypeError, r"seed is 'a'; expected"),
    ({"path": "paths.csv"}, ValueError, r"suffix '\.csv'; expected '\.parquet' or '\.npz'"),
    ({"path": "nowhere/paths.npz"}, OSError, r"nowhere cannot be written into"),
]


@pytest.mark.parametrize(("changes", "error", "said"), BAD, ids=lambda value: str(value))
def test_bad_input_is_refused_before_anything_is_drawn(
    tmp_path: Path, changes: dict[str, object], error: type[Exception], said: str
) -> None:
    arguments = {"n_paths": N, "path": "paths.npz", "seed": 0} | changes
    arguments["path"] = tmp_path / str(arguments["path"])
    flow = spoiled(lambda: None)
    with pytest.raises(error, match=said):
        stream_paths(flow, **arguments)  # type: ignore[arg-type]
    assert flow.start.draws == 0 and not any(tmp_path.iterdir())  # type: ignore[attr-defined]


# --- the command -------------------------------------------------------------------------------------------------


def invoke(*arguments: object) -> Result:
    result = CliRunner().invoke(cli.main, ["sample", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture(scope="module")
def saved(flow: mm.FrozenFlow, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return flow.save(tmp_path_factory.mktemp("flows") / "flow.npz")


@every_format
def test_command_draws_the_paths_of_the_flow_in_the_file(
    flow: mm.FrozenFlow, saved: Path, tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / f"paths{suffix}"
    result = invoke(saved, "--paths", N, "--seed", 7, "--out", out)
    assert result.exit_code == 0 and f"{N} paths" in result.output, result.output
    np.testing.assert_array_equal(read(out), flow.sample(N, seed=7).numpy())
    assert invoke(saved, "--paths", N, "--out", out, "--force", "--dtype", "float32").exit_code == 0
    assert read(out).dtype == np.float32


NAMED: dict[str, tuple[Energy, int]] = {
    "facts": (StylizedFacts(lags=7), 64),
    "mean": (ScatteringMean(256, J=4, wavelets=(2, 3)), 256),
    "covariance": (ScatteringCovariance(256, J=4, wavelets=(2, 3)), 256),
    "spectra": (ScatteringSpectra(256, J=3), 256),
}


@pytest.mark.parametrize(("energy", "length"), NAMED.values(), ids=list(NAMED))
@pytest.mark.parametrize("described", [True, False], ids=["described", "former file"])
def test_energies_of_the_library_are_made_again(tmp_path: Path, energy: Energy, length: int, described: bool) -> None:
    flow, out = build(energy, length=length, n_steps=1), tmp_path / "paths.npz"
    path = flow.save(tmp_path / "flow.npz")
    result = invoke(path if described else undescribed(path), "--paths", 2, "--out", out)
    assert result.exit_code == 0, result.output
    np.testing.assert_array_equal(read(out), flow.sample(2, seed=0).numpy())


def undescribed(path: Path) -> Path:
    """A file without the description of its energy, which it names."""
    arrays = load_arrays(path, "frozen flow")
    description = {name: part for name, part in json.loads(str(arrays["spec"])).items() if name != "energy"}
    return save_arrays(path, "frozen flow", arrays | {"spec": np.array(json.dumps(description))})


def test_energy_whose_name_is_rounded_is_spelled_out(tmp_path: Path) -> None:
    scale = (1.0, 0.5, 0.25, 0.12501)
    flow, out = build(ScatteringSpectra(256, scale=scale, J=3), length=256, n_steps=1), tmp_path / "paths.npz"
    command = (undescribed(flow.save(tmp_path / "flow.npz")), "--paths", 2, "--out", out)
    result = invoke(*command)
    assert result.exit_code == 2 and "--energy" in result.output and not out.exists()
    name = "ScatteringSpectra(256, scale=({}), J=3, wavelet='battle-lemarie')"
    wrong = invoke(*command, "--energy", name.format("1.0, 0.5, 0.25, 0.12503"))
    assert wrong.exit_code == 2 and "another energy" in wrong.output and not out.exists()
    assert invoke(*command, "--energy", name.format(str(scale)[1:-1])).exit_code == 0
    np.testing.assert_array_equal(read(out), flow.sample(2, seed=0).numpy())


def test_energy_that_needs_python_is_said(tmp_path: Path) -> None:
    flow, out = build(Linear(Autocovariance(), torch.eye(2), labels=("a", "b")), n_steps=1), tmp_path / "paths.npz"
    path = flow.save(tmp_path / "flow.npz")
    assert invoke(path, "--paths", 2, "--out", out).exit_code == 0
    out.unlink()
    result = invoke(undescribed(path), "--out", out)
    assert result.exit_code == 2 and "Linear" in result.output and "stream_paths in Python" in result.output
    assert not out.exists()


@pytest.mark.parametrize(
    "name", ["__import__('os').abort()", "StylizedFacts(lags=99999)", "StylizedFacts(lags=2**9)", "Autocovariance()x"]
)
def test_name_in_a_file_is_never_executed(saved: Path, tmp_path: Path, name: str) -> None:
    file = tmp_path / "flow.npz"
    file.write_bytes(saved.read_bytes())
    save_arrays(file, "frozen flow", load_arrays(undescribed(file), "frozen flow") | {"energy": np.array(name)})
    result = invoke(file, "--out", tmp_path / "paths.npz")
    assert result.exit_code == 2 and f"energy {name}" in result.output and "expected" in result.output, result.output
    assert list(tmp_path.iterdir()) == [file]


def test_another_energy_is_refused(saved: Path, tmp_path: Path) -> None:
    for name, said in {"StylizedFacts(lags=20)": "with by --energy", "acf": "--energy has the energy acf"}.items():
        result = invoke(saved, "--energy", name, "--out", tmp_path / "paths.npz")
        assert result.exit_code == 2 and said in result.output and not any(tmp_path.iterdir())


def test_output_of_the_command_is_kept_without_force_and_the_flow_always(saved: Path, tmp_path: Path) -> None:
    out = tmp_path / "paths.npz"
    out.write_bytes(b"mine")
    result = invoke(saved, "--out", out)
    assert result.exit_code == 2 and "--force" in result.output and out.read_bytes() == b"mine"
    before = saved.read_bytes()
    result = invoke(saved, "--out", saved, "--force")
    assert result.exit_code == 2 and "the flow itself" in result.output and saved.read_bytes() == before


def test_what_is_in_the_way_is_said_by_the_command_with_exit_code_2(saved: Path, tmp_path: Path) -> None:
    with room_for(100):
        full = invoke(saved, "--out", tmp_path / "paths.parquet")
    results = {
        "could not be written": full,
        "cannot be written into": invoke(saved, "--out", tmp_path / "nowhere" / "paths.parquet"),
        "expected a frozen flow": invoke(
            save_arrays(tmp_path / "other.npz", "something", {}), "--out", tmp_path / "paths.npz"
        ),
        "cannot be read": invoke(__file__, "--out", tmp_path / "paths.npz"),
    }
    for said, result in results.items():
        assert result.exit_code == 2 and said in result.output.replace("\n", " "), result.output
    assert [path.name for path in tmp_path.iterdir()] == ["other.npz"]
