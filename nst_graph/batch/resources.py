"""What a job asks of a cluster, and whether a cluster has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from nst_graph.errors import DeviceError
from nst_graph.estimate import estimate
from nst_graph.plan import Plan

#: What a node has, under Ray's names: "CPU" and "GPU" by number, "memory" in bytes.
Node = Mapping[str, float]

#: For rounding errors: Ray counts fractions in ten-thousandths.
_EPSILON = 1e-4


@dataclass(frozen=True)
class Needs:
    """What one job takes of a node.

    Attributes:
        cpus: processor cores, at least 1.
        gpus: share of a GPU, 0 to 1.
        memory: of the host, bytes.
    """

    cpus: int
    gpus: float
    memory: int

    def by_name(self) -> dict[str, float]:
        """The same under Ray's names."""
        return {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory}

    def fits(self, node: Node) -> int:
        """So many such jobs a node can hold at once."""
        shares = (
            (node.get(name, 0.0) + _EPSILON) / need for name, need in self.by_name().items() if need
        )
        return int(min(shares))


def settle(
    plan: Plan, nodes: Sequence[Node], *, cpus: int | None = None, gpus: float | None = None
) -> tuple[Plan, Needs]:
    """How a job is computed on a cluster, and what it takes of a node.

    Its memory mode is chosen by the largest node that has the CPUs and the GPU: the memory of the
    machine that asks says nothing.

    Args:
        plan: of the job.
        nodes: of the cluster; ``session.device: auto`` takes a GPU where one of them has any.
        cpus: for a job that leaves ``session.threads`` open; None: 1.
        gpus: share of a GPU for a job that uses one, above 0, to 1; None: 1.

    Returns:
        The plan with its ``mode`` settled, so that the worker keeps to what is set aside for it; on
        a GPU it is as it was. And the needs.
    """
    settings = plan.job.session
    wants_gpu = settings.device == "gpu" or (
        settings.device == "auto" and any(node.get("GPU", 0.0) > 0 for node in nodes)
    )
    needs = Needs(settings.threads or cpus or 1, (gpus or 1.0) if wants_gpu else 0.0, memory=0)
    able = [node for node in nodes if needs.fits(node)] or nodes
    most_mb = int(max((node.get("memory", 0.0) for node in able), default=0.0)) >> 20
    costs = [estimate(stage, most_mb) for stage in plan.stages]
    if not wants_gpu:
        plan = plan.with_modes([cost.mode for cost in costs])
    return plan, replace(needs, memory=max(cost.memory_mb for cost in costs) << 20)


def check_needs(needs: Needs, nodes: Sequence[Node], name: str) -> None:
    """See that a job can be placed: what no node has would be waited for without end.

    Args:
        needs: of the job.
        nodes: of the cluster.
        name: of the job, for messages.

    Raises:
        DeviceError: no node of the cluster can hold it.
    """
    if any(needs.fits(node) for node in nodes):
        return
    for key, asked, unit, remedy in (
        ("GPU", needs.gpus, "GPU", "use --set session.device=cpu, or add a node with a GPU"),
        ("CPU", needs.cpus, "CPUs", "lower session.threads or --cpus-per-job"),
        ("memory", needs.memory, "MB of memory", "choose a smaller `size`, or a larger node"),
    ):
        scale = 1 << 20 if key == "memory" else 1
        most = max((node.get(key, 0.0) for node in nodes), default=0.0)
        if asked > most + _EPSILON:
            what = f"needs {asked / scale:g} {unit} on one node; the most that one has is "
            raise DeviceError(f"{what}{most // scale:g}", where=name, remedy=remedy)
    raise DeviceError(
        f"needs {needs.cpus} CPUs, {needs.gpus:g} GPU and {needs.memory >> 20} MB of memory; the "
        "cluster has each of them, but no node has all",
        where=name,
        remedy="ask for less, or add a node that has all of it",
    )


def places(needs: Iterable[Needs], nodes: Iterable[Node]) -> int:
    """Jobs that are worth handing to a cluster at once, at least 1.

    It is the number of the smallest that would fit in an idle cluster; what does not, waits there.
    """
    asked = list(needs)
    smallest = Needs(
        min(need.cpus for need in asked),
        min(need.gpus for need in asked),
        min(need.memory for need in asked),
    )
    return max(1, sum(smallest.fits(node) for node in nodes))
