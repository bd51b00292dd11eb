"""One ensemble over several processes: equal numbers, messages sent, and recovery when a process dies."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.distributed as dist
from click.testing import CliRunner, Result
from filelock import FileLock

import mfmgdm_lib as mm
from mfmgdm_lib import cli
from mfmgdm_lib.cli.descend import _check_steps
from mfmgdm_lib.distributed import Checkpoints, LostProcessError, Shard, follow, join, shared_run
from mfmgdm_lib.log_determinants import choose_backend
from mfmgdm_lib.runs.run import Run

AR, CIR = mm.processes.AR([0.1]), mm.processes.CIR(0.5, 1.0, 1.0)
ENERGY, LENGTH, PATHS, STEPS = mm.energies.Autocovariance(), 32, 11, 12

ROUND_OFF = 1e-10
"""Sums of a few hundred numbers of order 1, in another order, over a dozen steps: what the project promises."""

either_law = pytest.mark.parametrize("process", [AR, CIR], ids=["AR", "CIR"])
either_model = pytest.mark.parametrize("size", [1, None], ids=["MGDM", "MF-MGDM"])


def model_of(process: mm.processes.Process, size: int | None = None, step_size: float | None = None) -> mm.Descent:
    step_size = step_size or (5.0 if process is AR else 40.0)  # at 40 some entries of CIR would leave the half-line
    target = mm.estimate_target(ENERGY, process, n_samples=200, length=LENGTH, seed=1)
    return mm.Descent(ENERGY, target, step_size, ensemble_size=size, support=process.support)


def share_out(count: int, work: Callable[[Shard], Any]) -> list[Any]:
    """What `work` returns or raises in each of `count` shards: threads, which talk through gloo as processes do."""
    store, outcomes = dist.HashStore(), [None] * count

    def run(rank: int) -> None:
        group = dist.ProcessGroupGloo(store, rank, count, timedelta(seconds=30))
        try:
            outcomes[rank] = work(Shard(rank, count, group=group))
        except Exception as error:
            outcomes[rank] = error

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(count)]
    for step in (threading.Thread.start, threading.Thread.join):
        for thread in threads:
            step(thread)
    return outcomes


def good(outcomes: list[Any]) -> list[Any]:
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    return outcomes


def begin(shard: Shard, model: mm.Descent, process: mm.processes.Process, **options: Any) -> Run[pd.DataFrame]:
    x0 = shard.draw(mm.initial_distribution(process), PATHS, LENGTH, seed=2)
    return shared_run(shard.share(model, PATHS), x0, STEPS, **options)


# --- who has what ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "n_paths"), [(1, 5), (2, 4), (2, 5), (3, 11), (7, 7), (40, 239)])
def test_every_path_is_in_one_shard_and_shards_are_even(count: int, n_paths: int) -> None:
    rows = [range(n_paths)[Shard(rank, count).rows(n_paths)] for rank in range(count)]
    assert [path for part in rows for path in part] == list(range(n_paths))
    assert max(map(len, rows)) - min(map(len, rows)) <= 1


@pytest.mark.parametrize(
    "start",
    [mm.processes.WhiteNoise(), mm.processes.TruncatedGaussian(1.0, 1.0)],
    ids=lambda start: type(start).__name__,
)
def test_shards_draw_what_one_process_would(start: mm.processes.Process) -> None:
    whole = start.sample(1100, 3, seed=(2, 12345))  # in three chunks
    parts = [Shard(rank, 3).draw(start, 1100, 3, seed=(2, 12345)) for rank in range(3)]
    assert torch.equal(torch.cat(parts), whole)


# --- the same numbers --------------------------------------------------------------------------------------------


@either_law
@either_model
@pytest.mark.parametrize("count", [1, 2, 3])
def test_any_number_of_processes_agrees_with_the_trace_of_one(
    process: mm.processes.Process, size: int | None, count: int
) -> None:
    model, start = model_of(process, size), mm.initial_distribution(process)
    recorded = mm.Determinants(on_fold="record")
    trace = mm.reverse_kl_trace(
        model, process, start, n_steps=STEPS, n_paths=PATHS, length=LENGTH, seed=2, determinants=recorded
    )
    assert (process.support is AR.support) == (trace.moved == 1.0).all()  # else some entries stay

    def work(shard: Shard) -> tuple[torch.Tensor, pd.DataFrame]:
        run = begin(shard, model, process, determinants=True)
        assert list(run.steps()) == list(range(STEPS + 1))
        return run.paths, run.summary()

    outcomes = good(share_out(count, work))
    torch.testing.assert_close(torch.cat([paths for paths, _ in outcomes]), trace.paths, rtol=0, atol=ROUND_OFF)
    for _, table in outcomes:
        expected = np.column_stack(
            [trace.loss, trace.mean_energy, (trace.log_q[0] - trace.log_q).mean(-1), trace.folded]
        )
        np.testing.assert_allclose(table, expected, rtol=0, atol=ROUND_OFF)


@either_law
@pytest.mark.parametrize("step_size", [1.0, 40.0], ids=["definite", "folding"])
def test_determinant_of_the_shards_is_that_of_the_ensemble(process: mm.processes.Process, step_size: float) -> None:
    model = model_of(process, step_size=step_size)
    paths = mm.initial_distribution(process).sample(PATHS, LENGTH, seed=2)
    whole = mm.log_determinant(model, model.evaluate(paths))
    assert (whole.non_positive > 0) == (step_size > 1.0)

    def work(shard: Shard) -> mm.StepDeterminant:
        part = shard.share(model, PATHS)
        state = part.evaluate(paths[shard.rows(PATHS)])
        return choose_backend(part, length=LENGTH).step(part, state, None)[1]

    parts = good(share_out(2, work))
    torch.testing.assert_close(torch.cat([part.per_path for part in parts]), whole.per_path, rtol=0, atol=ROUND_OFF)
    for part in parts:
        assert torch.equal(part.non_positive, whole.non_positive) and torch.equal(part.sign, whole.sign)


def test_single_precision_paths_stay_so_and_their_sums_do_not() -> None:
    def work(shard: Shard) -> mm.State:
        part = shard.share(model_of(AR), PATHS)
        return part.evaluate(AR.sample(PATHS, LENGTH, seed=3)[shard.rows(PATHS)].float())

    first, second = good(share_out(2, work))
    assert first.mismatch.dtype == first.loss.dtype == torch.float32
    assert torch.equal(first.mismatch[0], second.mismatch[0])


# --- what is sent ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_paths", [2, 50])
@either_law
def test_a_step_sends_the_mean_energies_and_the_capacitance_and_no_more(
    process: mm.processes.Process, n_paths: int
) -> None:
    model, positive = model_of(process), process is CIR
    paths = mm.initial_distribution(process).sample(n_paths, LENGTH, seed=2)

    def work(shard: Shard) -> list[int]:
        part, sent = shard.share(model, n_paths), [0]
        state = part.evaluate(paths[shard.rows(n_paths)])
        sent.append(shard.sent)
        part.update(state)
        sent.append(shard.sent)
        choose_backend(part, length=LENGTH).step(part, state, None)
        sent.append(shard.sent)
        return np.diff(sent).tolist()

    k, support = ENERGY.dim, 8 * positive
    assert good(share_out(2, work)) == 2 * [[8 * k, support, 8 * (k * k + 1) + support]]
    assert work(Shard()) == [0, 0, 0]


def test_paths_of_mgdm_have_nothing_to_tell_each_other() -> None:
    def work(shard: Shard) -> int:
        for _ in begin(shard, model_of(CIR, size=1), CIR, determinants=True).steps():
            pass
        return shard.sent

    assert good(share_out(2, work)) == [0, 0]


# --- ends before the end -----------------------------------------------------------------------------------------


def test_all_processes_end_where_one_has_an_energy_that_is_not_finite() -> None:
    def work(shard: Shard) -> mm.State:
        part = shard.share(model_of(AR), PATHS)
        paths = AR.sample(PATHS, LENGTH, seed=3)
        paths[7] *= 1e200
        return part.evaluate(paths[shard.rows(PATHS)], step=4)

    first, second = share_out(2, work)
    assert isinstance(first, mm.errors.DivergedError) and isinstance(second, mm.errors.DivergedError)
    assert first.step == second.step == 4 and "a path of another process" in str(first)
    assert second.particle == 7 and "path 7 has" in str(second)


def test_descent_is_stuck_where_no_process_can_move_and_not_before() -> None:
    paths = mm.initial_distribution(CIR).sample(PATHS, LENGTH, seed=2)

    def work(shard: Shard, free: int) -> mm.Move:
        part = shard.share(model_of(CIR), PATHS)
        state = part.evaluate(paths[shard.rows(PATHS)])
        return part.move(state, 0.0 * state.paths if shard.rank == free else 2.0 * state.paths)

    stays, moves = good(share_out(2, lambda shard: work(shard, free=1)))
    assert torch.equal(stays.paths, paths[:5]) and not stays.moved.any() and moves.moved is None
    for error in share_out(2, lambda shard: work(shard, free=2)):
        assert isinstance(error, mm.errors.StuckError) and "every entry of the ensemble of paths 0 to 10 out" in str(
            error
        )


# --- checkpoints ----------------------------------------------------------------------------------------------------


def put_down(shard: Shard, folder: Path, last: int) -> None:
    """Run with a checkpoint at every step, and die once that of step `last` is written."""
    checkpoints = Checkpoints(folder, shard, {"run": 1})
    for step in follow(begin(shard, model_of(CIR), CIR, determinants=True), checkpoints, every=0.0):
        if step == last + 1:
            return


def taken_up(shard: Shard, folder: Path) -> tuple[int, Run[pd.DataFrame], pd.DataFrame]:
    checkpoints = Checkpoints(folder, shard, {"run": 1}, report=lambda text: None)
    kept, run = checkpoints.load(), begin(shard, model_of(CIR), CIR, determinants=True)
    if kept is not None:
        run.restore(kept)
    began = run.step
    for _ in follow(run, checkpoints, every=0.0):
        pass
    checkpoints.clear()
    return began, run, run.summary()


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


@pytest.mark.parametrize(
    ("spoil", "began"),
    [
        ((), 7),
        (("1-of-2-a",), 6),  # a death before the last one was whole: rank 0 has 6 and 7, rank 1 only 6
        (("0-of-2-b", "1-of-2-b"), 7),
        (("0-of-2-a", "1-of-2-b"), 0),
    ],
)
def test_run_goes_on_from_the_newest_step_that_all_have_with_the_same_bits(
    tmp_path: Path, spoil: tuple[str, ...], began: int
) -> None:
    undisturbed = good(share_out(2, lambda shard: taken_up(shard, tmp_path)))
    assert undisturbed[0][0] == 0 and not list(tmp_path.iterdir())
    good(share_out(2, lambda shard: put_down(shard, tmp_path, 7)))  # odd steps in slot a, even ones in b
    for name in spoil:
        damage(tmp_path / f"checkpoint-{name}.npz")
    again = good(share_out(2, lambda shard: taken_up(shard, tmp_path)))
    assert [start for start, _, _ in again] == [began, began]
    for (_, before, expected), (_, after, found) in zip(undisturbed, again, strict=True):
        assert torch.equal(after.paths, before.paths)
        pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert not list(tmp_path.iterdir())


def test_checkpoint_that_all_have_is_not_the_one_that_is_written_over(tmp_path: Path) -> None:
    def checkpoints() -> Checkpoints:
        return Checkpoints(tmp_path, Shard(), {}, report=lambda text: None)

    first, second, third = checkpoints(), checkpoints(), checkpoints()
    first.save(1, {})
    for saved, later, step in ((first, second, 2), (second, third, 3)):
        saved.save(step, {})
        damage(tmp_path / "checkpoint-0-of-1-b.npz")  # a death in the middle of it
        later.load()
        assert later.step == 1


def test_checkpoint_of_another_run_is_refused_and_stays(tmp_path: Path) -> None:
    good(share_out(2, lambda shard: put_down(shard, tmp_path, 3)))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match=r"is of a run with processes=2; expected processes=1\. .* another folder"):
        Checkpoints(tmp_path, Shard(), {"run": 1}).load()
    for error in share_out(2, lambda shard: Checkpoints(tmp_path, shard, {"run": 2}).load()):
        assert isinstance(error, ValueError) and "is of a run with run=1; expected run=2." in str(error)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert Checkpoints(tmp_path, Shard(), {"run": 1}).load(force=True) is None and not list(tmp_path.iterdir())


def test_checkpoints_come_at_the_same_steps_and_further_apart_when_steps_are_fast(tmp_path: Path) -> None:
    def work(shard: Shard) -> list[int | None]:
        checkpoints = Checkpoints(tmp_path, shard, {})
        return [checkpoints.step for _ in follow(begin(shard, model_of(AR), AR), checkpoints, every=1e6)]

    # The second is written after ten more steps, not after a million seconds; what is seen is that of the step before.
    assert good(share_out(2, work)) == 2 * [[None, None, *10 * [1], 11]]


# --- bad input ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Shard(2, 2), ValueError, r"rank is 2 of 2 processes; expected a lower number"),
        (lambda: Shard(0, 3).rows(2), ValueError, r"n_paths is 2 with 3 processes; expected a path for each"),
        (
            lambda: Shard().share(model_of(AR, 4), 8),
            ValueError,
            r"ensemble_size=4 for 8 paths; expected 1, or",
        ),
        (
            lambda: Shard().share(model_of(AR), 8).evaluate(torch.zeros(7, LENGTH).double()),
            ValueError,
            r"there are 7 paths; expected the 8 rows from 0 on",
        ),
        (
            lambda: choose_backend(Shard().share(model_of(AR), 8), "stochastic", length=LENGTH),
            ValueError,
            r"estimated by random probes; expected an exact one",
        ),
        (lambda: join("abacus").__enter__(), ValueError, r"device is 'abacus'; expected one that this machine has"),
        (lambda: join(timeout=0.0).__enter__(), ValueError, r"timeout is 0\.0; expected a finite number above 0"),
    ],
)
def test_bad_input_is_said(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_checkpoint_of_other_shapes_is_refused() -> None:
    run = begin(Shard(), model_of(AR), AR)
    with pytest.raises(ValueError, match=r"the checkpoint has paths \(1, 32\)"):
        run.restore({"paths": np.zeros((1, LENGTH)), "sums": np.zeros((1, 3))})


def test_processes_that_do_not_come_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(LostProcessError, match=r"process 1 of 2 could not join the others"), join(timeout=1.0):
        pass


# --- the command -------------------------------------------------------------------------------------------------

ARGUMENTS = ("descend", "--process", "cir-exp", "--paths", "5", "--length", "16", "--step-size", "5", "--determinants")


def descend(*options: str | Path) -> Result:
    result = CliRunner().invoke(cli.main, [*ARGUMENTS, *map(str, options)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def read(folder: Path, *parts: str) -> tuple[np.ndarray, pd.DataFrame]:
    arrays = [np.load(folder / f"paths-{part}.npz") for part in parts]
    assert [int(part["first"]) for part in arrays] == np.cumsum([0, *(len(part["paths"]) for part in arrays)]).tolist()[
        :-1
    ]
    return np.concatenate([part["paths"] for part in arrays]), pd.read_csv(
        folder / "trace.csv", comment="#", index_col="step"
    )


def content(path: Path) -> object:
    """All that is in an output to the last bit, but for when and by which command it was written."""
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            assert {"command", "date", "checksum"} < {*arrays}
            return {name: a.tobytes() for name, a in arrays.items() if name not in ("command", "date", "checksum")}
    lines = path.read_bytes().splitlines(keepends=True)
    return [line for line in lines if not line.startswith((b"# command: ", b"# date: "))]


def test_command_alone_leaves_paths_and_a_trace_and_replaces_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    assert "0 bytes sent" in descend("--steps", "3", "--out", folder).output
    paths, trace = read(folder, "0-of-1")
    assert sorted(path.name for path in folder.iterdir()) == ["paths-0-of-1.npz", "trace.csv"]
    assert paths.shape == (5, 16) and list(trace.columns) == ["loss", *ENERGY.labels, "log_determinant", "folded"]
    assert len(trace) == 4 and trace["loss"].iloc[-1] < trace["loss"].iloc[0]
    again = descend("--steps", "3", "--out", folder)
    assert again.exit_code == 2 and "trace.csv is there already" in again.stderr and "--force" in again.stderr
    (folder / "paths-1-of-2.npz").touch()
    assert descend("--steps", "2", "--out", folder, "--force").exit_code == 0
    assert len(read(folder, "0-of-1")[1]) == 3 and not (folder / "paths-1-of-2.npz").exists()


def test_command_has_its_folder_to_itself(tmp_path: Path) -> None:
    with FileLock(tmp_path / ".lock"):
        other = descend("--steps", "3", "--out", tmp_path)
    assert other.exit_code == 2 and "another run is at work in" in other.stderr
    assert descend("--steps", "3", "--out", tmp_path).exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["paths-0-of-1.npz", "trace.csv"]


def test_command_that_was_killed_between_its_two_files_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, half = tmp_path / "whole", tmp_path / "half"

    def killed(*_: object, **__: object) -> None:
        raise OSError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(pd.DataFrame, "to_csv", killed)  # of the trace, which comes after the paths
        assert descend("--steps", "3", "--out", half, "--checkpoint-every", "0").exit_code == 2
    assert (half / "paths-0-of-1.npz").exists() and not (half / "trace.csv").exists()
    other = descend("--steps", "3", "--seed", "7", "--out", half)
    assert other.exit_code == 2 and "is there already" in other.stderr
    again = descend("--steps", "3", "--out", half)
    assert again.exit_code == 0 and "Going on from the checkpoint of step 2" in again.output
    assert descend("--steps", "3", "--out", whole).exit_code == 0
    for name in ("paths-0-of-1.npz", "trace.csv"):
        assert content(half / name) == content(whole / name)


def test_command_stops_by_the_rule_and_says_so(tmp_path: Path) -> None:
    (cell,) = mm.companion.select(mm.companion.TABLE_1, ["ar01-acf-mf"])
    experiment = dataclasses.replace(cell, length=64, step_size=0.5, dtype="float64").experiment()
    stop = mm.balanced_stop(experiment.model(None), experiment.start.sample(16, 64, (2, 12345)), 100)
    arguments = ("--process", "ar01", "--paths", "16", "--length", "64", "--step-size", "0.5", "--steps", "balanced")
    folder, short = tmp_path / "stop", tmp_path / "short"
    assert f"The descent {stop.message}.\n" in descend(*arguments, "--max-steps", "100", "--out", folder).output
    paths, trace = read(folder, "0-of-1")
    assert len(trace) == stop.step + 1 > 10
    np.testing.assert_allclose(paths, stop.paths, rtol=0, atol=ROUND_OFF)
    assert "never stops within 4 steps" in descend(*arguments, "--max-steps", "4", "--out", short).output
    assert len(read(short, "0-of-1")[1]) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--steps", "many"), "'many' is no number from 0 on; expected one such as 250, or balanced"),
        (("--steps", "-1"), "'-1' is no number from 0 on"),
        (("--max-steps", "4"), "--max-steps is 4 without --steps balanced"),
        (("--steps", "balanced", "--max-steps", "0"), "0 is not in the range x>=1"),
        (("--steps", "balanced", "--paths", "2"), "x0 has 2 paths for 2 energies; expected more paths than energies"),
    ],
)
def test_command_says_what_it_cannot_stop_by(tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    result = descend(*options, "--out", tmp_path / "new")
    assert result.exit_code == 2
    assert message in result.stderr
    assert not list(tmp_path.glob("new/*"))


def test_rule_is_refused_in_several_processes() -> None:
    with pytest.raises(ValueError, match="--steps is balanced on 2 processes; expected a number of steps"):
        _check_steps("balanced", None, Shard(1, 2))


def test_command_says_what_it_cannot_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for options, message in {
        ("--out", tmp_path / "file"): "cannot be made (File exists)",
        ("--out", tmp_path, "--step-size", "-1"): "step_size is -1.0; expected a finite number above 0",
        ("--out", tmp_path, "--process", "ar03"): "'ar03' is not one of 'ar01'",
        ("--out", tmp_path, "--energy", "scatmean", "--length", "256"): "estimated by random probes",
    }.items():
        result = descend("--steps", "1", *options)
        assert result.exit_code == 2 and message in result.stderr, options
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


# --- torchrun ----------------------------------------------------------------------------------------------------

TOGETHER = [*ARGUMENTS, "--steps", "150", "--timeout", "60"]


def torchrun(folder: Path, *options: str) -> subprocess.Popen[str]:
    tool, command = (Path(sys.executable).with_name(name) for name in ("torchrun", "mfmgdm"))
    line = [tool, "--standalone", "--nproc-per-node", "2", "--no-python", command, *TOGETHER, "--out", folder, *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def worker(parent: int, rank: int) -> int:
    """The process with this rank, by the environment that torchrun has given it."""
    for children in Path(f"/proc/{parent}/task").glob("*/children"):
        for child in children.read_text().split():
            if f"RANK={rank}" in Path(f"/proc/{child}/environ").read_text().split("\0"):
                return int(child)
    raise ProcessLookupError(f"no worker {rank} of {parent}")


@pytest.mark.skipif(not Path(f"/proc/self/task/{os.getpid()}/children").exists(), reason="finds the worker in /proc")
def test_death_of_a_worker_ends_the_run_which_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    undisturbed, killed = torchrun(tmp_path / "whole"), torchrun(tmp_path / "again", "--checkpoint-every", "0")
    second = tmp_path / "again" / "checkpoint-1-of-2-b.npz"
    while not second.exists():
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.01)
    os.kill(worker(killed.pid, rank=1), signal.SIGKILL)
    _, said = killed.communicate(timeout=60)
    assert killed.returncode != 0 and re.search(r"Error: process 0 of 2 (has lost another one|was told to stop)", said)
    (step,) = re.findall(r"The last checkpoint is that of step (\d+), in .*again\. Give the same command again", said)

    output, errors = undisturbed.communicate(timeout=60)
    assert undisturbed.returncode == 0, errors
    alone = descend("--steps", "150", "--out", tmp_path / "again")
    assert alone.exit_code == 2 and "is of a run with processes=2; expected processes=1" in alone.stderr

    resumed = torchrun(tmp_path / "again")
    output, errors = resumed.communicate(timeout=60)
    assert resumed.returncode == 0, errors
    began = int(re.findall(r"Going on from the checkpoint of step (\d+)\.", output)[0])
    assert int(step) <= began <= int(step) + 1  # it may be whole although nobody lived to hear of it
    names = ["paths-0-of-2.npz", "paths-1-of-2.npz", "trace.csv"]
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == names
    for name in names:
        assert content(tmp_path / "again" / name) == content(tmp_path / "whole" / name), name

    assert descend("--steps", "150", "--out", tmp_path / "alone").exit_code == 0
    expected, found = read(tmp_path / "alone", "0-of-1"), read(tmp_path / "whole", "0-of-2", "1-of-2")
    for one, two in zip(expected, found, strict=True):
        np.testing.assert_allclose(two, one, rtol=0, atol=ROUND_OFF)
