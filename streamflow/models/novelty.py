"""Value novelty: has this sensor ever sent a value like this, and how long ago?"""

from __future__ import annotations

from typing import ClassVar

from streamflow.models.codebook import RESOLUTIONS
from streamflow.models.onset import Onset, Parts


class ValueNovelty(Onset):
    r"""Novelty of a value, weighed by how long nothing as novel was seen.

    The evidence of a value $v$ is the mean over the resolutions $\varepsilon$ of

    $$\log_{10}(o_\varepsilon + 10^{-3}) + 3 \in [0, 3],$$

    where $o_\varepsilon \le 1$ is the distance from $v$ to the nearest value in that resolution's
    codebook, as a share of the sensor's range so far. A codebook retains $v$ if
    $o_\varepsilon > \varepsilon$. A reading's evidence $e$ is the largest among its sensors. With
    $R$ the return period, the number of readings since evidence of at least $0.9 e$ was learned
    (all of them and one if there was none), reading number $n$ scores

    $$\max(0, e + \gamma \log_{10} R - \tfrac{\gamma}{2} \log_{10} \tfrac{\min(n, 20000)}{1000}),$$

    and 0 if $e = 0$. For exchangeable evidence the last of $T$ readings is the most novel with
    probability $1/T$, so a limit on the score is a budget of alarms that each stream sets for
    itself: a noisy stream raises its own bar. The last term lets that budget grow as the square
    root of the stream's age.

    A sensor is scored once `warm_up` of its readings are learned. Until then it counts 0, but its
    novelty already enters the history that $R$ looks back on; so it is for a sensor that appears
    late. A sensor missing from a reading is neither scored nor learned.

    One reading widens a sensor's range at most tenfold, so a single absurd value does not blind the
    detector. Many do: set the sensor's limits upstream. A full codebook is thinned to its
    resolution at the present range: it holds no more than a range at its resolution, and 16 values
    more. A sensor therefore keeps 748 numbers, and the history of a device at most 152 entries,
    however long the stream.

    Scoring changes nothing, and a score depends only on its reading and those learned before.
    Values that are not numbers between -1e300 and 1e300 (NaN, infinities) are treated as missing,
    so every score is finite and no value can spoil the state.

    Parameters
    ----------
    resolutions
        Shares of a sensor's range at which values are told apart, one codebook each.
    rarity_weight
        Weight $\gamma$ of the return period, in units of evidence per factor of ten.
    warm_up
        Readings of a sensor that are learned before it is scored. After $n$ readings the next one
        of the same distribution lies outside the range of all of them with probability
        $2/(n + 1)$: below 1 % from 200 readings on.

    Attributes
    ----------
    ALERT_LIMIT
        A score above 4.5 is worth an alert. It asks for a return period of 16 readings at
        evidence 3 (a value as far away as the whole range), 100 at evidence 2 and 630 at
        evidence 1; from 20,000 readings on, of 71, 450 and 2,800. Chosen on the 58 series of the
        Numenta Anomaly Benchmark, where it scores 69.9 (standard), 62.4 (few false alarms) and
        74.5 (few misses); 4.2 to 4.6 comes within three points of that. Of the first 5,000
        readings of Gaussian noise 5 exceed it.

    Examples
    --------
    >>> import random
    >>> from streamflow.models.novelty import ValueNovelty

    >>> rng = random.Random(42)
    >>> detector = ValueNovelty()
    >>> for _ in range(1000):
    ...     detector.learn_one({"temperature": rng.gauss(20, 1)})

    >>> round(detector.score_one({"temperature": 20.1}), 2)
    0.74
    >>> round(detector.score_one({"temperature": 27.0}), 2)
    6.4
    >>> detector.score_one({"temperature": 27.0}) > detector.ALERT_LIMIT
    True

    References
    ----------
    Gumbel, E. J. (1941). The return period of flood flows. Annals of Mathematical Statistics
    12(2), 163-190.

    Chandler, K. N. (1952). The distribution and frequency of record values. Journal of the Royal
    Statistical Society B 14(2), 220-228.

    Lavin, A. and Ahmad, S. (2015). Evaluating real-time anomaly detection algorithms: the Numenta
    Anomaly Benchmark. IEEE 14th International Conference on Machine Learning and Applications.

    """

    PARTS: ClassVar[Parts] = Parts(value=True)
    ALERT_LIMIT: ClassVar[float] = 4.5

    def __init__(
        self,
        *,
        resolutions: tuple[float, ...] = RESOLUTIONS,
        rarity_weight: float = 1.25,
        warm_up: int = 200,
    ) -> None:
        super().__init__(resolutions=resolutions, rarity_weight=rarity_weight, warm_up=warm_up)
