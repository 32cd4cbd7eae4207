"""The numbers that make the demo market, and what follows from them: above all the theoretical IC of its signal."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...errors import DataError

__all__ = [
    "DEFAULT_INSTRUMENTS",
    "DEFAULT_SEED",
    "DEFAULT_YEARS",
    "GENERATOR_VERSION",
    "INDEX",
    "SECTORS",
    "UNIVERSE",
    "DemoParameters",
]

DEFAULT_INSTRUMENTS = 300
DEFAULT_YEARS = 12
DEFAULT_SEED = 7

GENERATOR_VERSION = 1
"""Raised with every change of the generator that changes a byte of the market, so that old copies are not used."""

INDEX = "DMINDEX"
"""Instrument of the index: the members of `UNIVERSE`, weighted by capitalisation."""

UNIVERSE = "demo"
"""Universe of the larger instruments, reviewed twice a year."""

SECTORS = (
    "Communication",
    "Consumer",
    "Energy",
    "Financials",
    "Health",
    "Industrials",
    "Materials",
    "Real Estate",
    "Technology",
    "Utilities",
)


@dataclass(frozen=True, slots=True)
class DemoParameters:
    """Size, seed and laws of a demo market.

    The return of instrument i on day s, before ticks and limits, is

    ``r[i,s] = V[s] * (beta[i] * x[s] + f[k(i),s] + (kappa + kappa_risk * y[s]) * z[i,s-2] + sigma[i] * e[i,s])``

    with the market's volatility ``V`` (GARCH, known two days ahead), the market factor ``x``, sector factors ``f``, the
    planted signal ``z`` (mean 0 and standard deviation 1 over the instruments of a day, made of prices and volumes up
    to the close of day s - 2), the signal's own risk ``y`` (standard normal) and an idiosyncratic GARCH part.
    All volatilities are daily returns at V = 1.

    Attributes
    ----------
    instruments, years, seed : int
        Number of instruments beside the index; calendar years, the last one being 2020; seed of everything random.
    signal_ic : float
        The theoretical IC of the signal; ``kappa`` follows from it.
    signal_risk : float
        Standard deviation of the signal's daily return per unit of z (``kappa_risk``): why a perfect forecast still
        has bad days.
    market_mean, market_volatility, beta_spread, sector_volatility, idiosyncratic_volatility : float
        Drift and volatility of ``x``, standard deviation of beta over instruments, volatility of ``f``, root mean
        square of ``sigma``.
    limit : float
        Largest move of a day as a share of the reference price.
    member_share : float
        Members of the universe as a share of all instruments.
    """

    instruments: int = DEFAULT_INSTRUMENTS
    years: int = DEFAULT_YEARS
    seed: int = DEFAULT_SEED
    signal_ic: float = 0.08
    signal_risk: float = 0.0030
    market_mean: float = 0.0003
    market_volatility: float = 0.011
    beta_spread: float = 0.2
    sector_volatility: float = 0.006
    idiosyncratic_volatility: float = 0.019
    limit: float = 0.10
    member_share: float = 2 / 3

    def __post_init__(self) -> None:
        for name, low, high in (("instruments", 10, 100_000), ("years", 1, 50), ("seed", 0, 2**63 - 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise DataError(f"demo market: {name} must be a whole number from {low} to {high}, received {value!r}")

    @property
    def noise_variance(self) -> float:
        """Expected variance over instruments of the part of a day's return that nobody can know (V = 1).

        A sector factor that is common to 1/K of the instruments keeps ``1 - 1/K`` of its variance after the day's mean
        is taken off.
        """
        beta = self.beta_spread**2 * (self.market_volatility**2 + self.market_mean**2)
        sector = self.sector_volatility**2 * (1 - 1 / len(SECTORS))
        return beta + sector + self.signal_risk**2 + self.idiosyncratic_volatility**2

    @property
    def kappa(self) -> float:
        """Expected return per unit of the signal at V = 1, from ``signal_ic = kappa / sqrt(kappa^2 + noise)``."""
        return self.signal_ic * math.sqrt(self.noise_variance / (1 - self.signal_ic**2))

    @property
    def theoretical_ic(self) -> float:
        """Expected daily Pearson correlation of ``$oracle`` and ``Ref($close,-2)/Ref($close,-1)-1``.

        The covariance over instruments of z and the label is ``V * kappa``, as everything else is independent of z; z
        has standard deviation 1 and the label ``V * sqrt(kappa^2 + noise)``, so V cancels. Neglected, as each is worth
        a percent or two of the IC: price limits and ticks (lower it), the spread of the variance over days (raises
        it), and the oracle's deviation from unit variance within a universe.
        """
        return self.kappa / math.sqrt(self.kappa**2 + self.noise_variance)

    @property
    def daily_ic_std(self) -> float:
        """Standard deviation of the daily IC: the signal's own risk, and the finite number of instruments.

        The mean over d days is known to about ``daily_ic_std / sqrt(d)``.
        """
        label = math.sqrt(self.kappa**2 + self.noise_variance)
        return math.sqrt((self.signal_risk / label) ** 2 + 1 / self.instruments)

    @property
    def name(self) -> str:
        """Folder name of the market: changes with the arguments and with the generator."""
        return f"v{GENERATOR_VERSION}-n{self.instruments}-y{self.years}-s{self.seed}"
