"""Filter banks: reference values, properties of spline wavelets, and refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mfmgdm_lib.energies.scattering import wavelets
from mfmgdm_lib.energies.scattering.wavelets import battle_lemarie, morlet

REFERENCE = np.load(Path(__file__).parent / "fixtures" / "energies_T1024.npz")


def test_battle_lemarie_filters_are_those_of_the_reference() -> None:
    bank = battle_lemarie(2048, octaves=7)
    rows = np.concatenate([bank.band_passes, bank.low_pass[None]])
    # All are at most 1; the reference was rounded to float32 at its end.
    np.testing.assert_allclose(rows, REFERENCE["spectra_psi_hat"], rtol=0, atol=2.0**-24)


def test_mother_wavelet_and_scaling_function_split_the_energy_of_a_finer_scale() -> None:
    omega = np.linspace(0.05, 12.0, 400)
    finer, coarser = wavelets._scaling(omega) ** 2, wavelets._scaling(2 * omega) ** 2
    detail = wavelets._mother(2 * omega) ** 2
    # Rounding of ω by 10⁻¹⁵ counts 8-fold, relatively to the distance from a multiple of 2π: 0.01 at the least here.
    np.testing.assert_allclose(coarser + detail, finer, rtol=0, atol=1e-12)


def test_translates_of_the_mother_wavelet_are_orthonormal() -> None:
    omega = np.linspace(0.1, 6.0, 50)
    total = sum(wavelets._mother(np.abs(omega + 2 * np.pi * k)) ** 2 for k in range(-200, 200))
    np.testing.assert_allclose(total, 1.0, rtol=0, atol=1e-9)  # |ψ̂|² falls as ω⁻⁸


def test_centre_of_the_mother_wavelet_is_its_mean_frequency() -> None:
    omega = np.linspace(1e-3, 200.0, 400_001)
    power = wavelets._mother(omega) ** 2
    mean = (omega * power).sum() / power.sum() / (2 * np.pi)
    assert mean == pytest.approx(0.75940, abs=1e-5)
    assert 1 - wavelets._MOTHER / mean == pytest.approx(6e-5, abs=1e-5)  # as its docstring says


def test_battle_lemarie_filters_keep_the_main_lobe_of_positive_frequencies() -> None:
    bank = battle_lemarie(1024, octaves=6)
    assert not bank.band_passes[:, 0].any()
    for row, centre in zip(bank.band_passes, bank.centres, strict=True):
        lobe = min(2 * centre / wavelets._MOTHER, 7 / 8)  # ω = 4π, or where the highest is cut
        beyond = bank.frequencies > lobe
        assert not row[beyond].any() and row[~beyond][1:-1].all()


def test_each_filter_is_the_one_before_at_half_the_frequency() -> None:
    for bank in (battle_lemarie(4096, octaves=7), morlet(4096, octaves=8)):
        np.testing.assert_allclose(bank.centres[:-1] / bank.centres[1:], 2.0)
        # Where neither is cut nor wraps round, row j at frequency 2f is row j + 1 at f.
        wide, narrow = bank.band_passes[3], bank.band_passes[4]
        np.testing.assert_allclose(narrow[:512], wide[:1024:2], rtol=0, atol=1e-9)


def test_morlet_filters_let_no_constant_through_and_their_low_pass_does() -> None:
    bank = morlet(1024, octaves=8)
    assert bank.band_passes.shape == (9, 1024)
    assert np.abs(bank.band_passes[:, 0]).max() < 1e-15
    assert bank.low_pass[0] == pytest.approx(1.0, abs=1e-12)
    # The peak of a Morlet wavelet lies a little above its nominal centre: the correction takes more from below.
    peaks = bank.frequencies[bank.band_passes.argmax(1)]
    assert (np.abs(peaks - bank.centres) <= 0.03 * bank.centres + 1 / 1024).all()


def test_banks_are_made_once_and_cannot_be_changed() -> None:
    assert battle_lemarie(512, octaves=5) is battle_lemarie(512, octaves=5)
    for bank in (battle_lemarie(512, octaves=5), morlet(512, octaves=5)):
        with pytest.raises(ValueError, match="read-only"):
            bank.band_passes[0, 0] = 1.0
