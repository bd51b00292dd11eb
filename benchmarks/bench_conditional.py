"""The conditional flow: its fit, and draws and densities of many long paths against those of its base model."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import torch

import mfmgdm_lib as mm

T = TypeVar("T")


def timed(call: Callable[[], T]) -> tuple[T, float]:
    """What a call returns, and its processor time, which other work on the machine hardly changes."""
    began = time.process_time()
    found = call()
    return found, time.process_time() - began


def test_conditional_flow():
    """Fit to 2500 days of the S&P 500, densities of the 2530 after them, and 4096 paths of 1024 days."""
    returns = torch.tensor(mm.data.returns(mm.data.sp500()).to_numpy())
    given = returns[:2500]
    for model in ("argarch-t", "araparch-skewt"):
        flow, fit = timed(lambda model=model: mm.fit_conditional_flow(given, model))
        _, judged = timed(lambda flow=flow: flow.log_densities(returns))
        print(f"\n{model}, {len(flow.weights)} steps: fit {fit:.1f} s, densities of {len(returns)} days {judged:.2f} s")
        (paths, log_q), drawn = timed(lambda flow=flow: flow.sample_and_log_prob(4096, 1024, given=given, seed=0))
        _, of_base = timed(lambda flow=flow: flow.base.sample(4096, 1024, given=given, seed=0))
        density, inverted = timed(lambda flow=flow, paths=paths: flow.log_prob(paths, given=given))
        print(
            f"4096 paths of 1024 days: drawn with densities in {drawn:.1f} s, {drawn / of_base:.0f} times the base's"
            f" draws; densities of paths {inverted:.1f} s; agreeing to {float((density - log_q).abs().max()):.0e} nats"
        )
