"""Minimum-weight perfect matching in a sparse graph: Edmonds' blossoms, one alternating tree at a time.

Duals: a number for each vertex and one, at least 0, for each blossom (an odd cycle shrunk to a node). The slack of an
edge between two outermost nodes, ``w - Y[u] - Y[v]`` where ``Y[v]`` adds the duals of all nodes around v, stays at
least 0; matched edges have slack 0, and that proves the matching least. A tree grows from an unmatched vertex: even
nodes ("+") rise by one and odd nodes ("-") fall by one per unit of time, so that the next event (an edge becomes
tight, a falling blossom reaches 0) stands at the top of a heap. Nodes are brought up to date when they change.

Sources: Edmonds (1965), "Maximum matching and a polyhedron with 0,1-vertices", J. Res. NBS 69B, 125-130; Kolmogorov
(2009), "Blossom V", Math. Prog. Comp. 1, 43-67 (single tree, section 2; greedy start of the duals).
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Matching", "perfect_matching"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

PLUS, FREE, MINUS = 1, 0, -1
MEET, CLASH, OPEN = 0, 1, 2
"""Events: a + node reaches a free node; two + nodes touch; a - blossom has fallen to 0."""

LATE = 1e-3
"""Slack above this at the time of an event (weights are whole numbers) says that the event is out of date."""


class Matching(NamedTuple):
    """A matching and the duals that prove it least.

    `mate` (n,) partners, -1 everywhere where the graph has no perfect matching; `total` (n,) the dual of each vertex
    plus those of the blossoms around it; `order` (n,) vertices such that each blossom is a run of them; `shared` (n,)
    duals of the blossoms around a vertex and the one before it in that order.
    """

    mate: Ints
    total: Floats
    order: Ints
    shared: Floats


def perfect_matching(n: int, ends: Ints, weights: Floats) -> Matching:
    """Return a perfect matching of least total weight.

    Parameters
    ----------
    n : int
        Number of vertices, even.
    ends : int64 array, shape (m, 2)
        Edges between different vertices, each pair once.
    weights : float64 array, shape (m,)
        Whole numbers of at least 0, below 2**45, so that sums and halves of them are exact.
    """
    state = _Trees(n, ends.tolist(), weights.tolist())
    complete = all(state.mate[root] >= 0 or state.grow_from(root) for root in range(n))
    order, shared = state.nesting()
    return Matching(
        mate=np.array(state.mate if complete else [-1] * n, dtype=np.int64),
        total=np.array(state.total),
        order=np.array(order, dtype=np.int64),
        shared=np.array(shared),
    )


class _Trees:
    """The matching, the duals and the tree that is growing. Nodes below n are vertices, the others blossoms."""

    def __init__(self, n: int, ends: list[list[int]], weights: list[float]) -> None:
        self.n = n
        self.links: list[list[tuple[int, float]]] = [[] for _ in range(n)]
        for (u, v), w in zip(ends, weights, strict=True):
            self.links[u].append((v, w))
            self.links[v].append((u, w))
        self.mate = [-1] * n
        self.total = [min((w for _, w in mine), default=0.0) / 2 for mine in self.links]
        self.dual: list[float] = [0.0] * n
        self.top = list(range(n))
        self.up = [-1] * n
        self.base = list(range(n))
        self.leaves: list[list[int]] = [[v] for v in range(n)]
        self.kids: list[list[int]] = [[] for _ in range(n)]
        self.joints: list[list[tuple[int, int]]] = [[] for _ in range(n)]
        self.label = [FREE] * n
        self.since = [0.0] * n
        self.entry: list[tuple[int, int]] = [(-1, -1)] * n
        self.time = 0.0
        self.events: list[tuple[float, int, int, int]] = []
        self.tree: list[int] = []
        self.end = inf
        self._greedy()

    def _greedy(self) -> None:
        """Raise each vertex until an edge is tight, and match along tight edges."""
        for u in range(self.n):
            if self.mate[u] >= 0 or not self.links[u]:
                continue
            slack, v = min((w - self.total[u] - self.total[v], v) for v, w in self.links[u])
            self.total[u] += slack
            if self.mate[v] < 0:
                self.mate[u], self.mate[v] = v, u

    def grow_from(self, root: int) -> bool:
        """Grow a tree from an unmatched vertex until it meets another, and augment. False where it cannot."""
        self.time, self.events, self.tree, self.end = 0.0, [], [], inf
        self._rise(self.top[root])
        done = False
        while self.events and not done:
            at, kind, u, v = heappop(self.events)
            if kind == OPEN:
                if self.label[u] == MINUS and self.up[u] < 0:
                    self._expand(u, at)
            elif kind == MEET:
                done = self._meet(at, u, v)
            elif self.top[u] != self.top[v]:
                self.time = max(self.time, at)
                self._shrink(u, v)
        self._settle()
        return done

    def nesting(self) -> tuple[list[int], list[float]]:
        """Return the vertices blossom by blossom, and the duals around each and the one before."""
        order: list[int] = []
        shared: list[float] = []
        pending = [(node, 0.0, 0.0) for node in sorted(set(self.top))]
        while pending:
            node, around, before = pending.pop()
            if node < self.n:
                order.append(node)
                shared.append(before)
                continue
            inside = around + self.dual[node]
            first, *others = self.kids[node]
            pending += [(kid, inside, inside) for kid in others]
            pending.append((first, inside, before))
        return order, shared

    def value(self, v: int) -> float:
        """Return Y[v] at the present time."""
        node = self.top[v]
        return self.total[v] + self.label[node] * (self.time - self.since[node])

    def _flush(self, node: int) -> None:
        """Bring the duals of an outermost node up to the present time."""
        step = self.label[node] * (self.time - self.since[node])
        self.since[node] = self.time
        if step:
            self.dual[node] += step
            for v in self.leaves[node]:
                self.total[v] += step

    def _settle(self) -> None:
        """Write the duals of the tree down and take its labels off."""
        for node in self.tree:
            if self.up[node] < 0 and self.label[node] != FREE and self.leaves[node]:
                self._flush(node)
            self.label[node] = FREE

    def _mark(self, node: int, label: int) -> None:
        self.label[node], self.since[node] = label, self.time
        self.tree.append(node)

    def _rise(self, node: int) -> None:
        """Label an outermost node "+" and look along its edges."""
        self._mark(node, PLUS)
        self._scan(self.leaves[node])

    def _fall(self, node: int, entry: tuple[int, int]) -> None:
        """Label an outermost node "-"; `entry` is the edge (in the parent, in the node) by which the tree came."""
        self._mark(node, MINUS)
        self.entry[node] = entry
        if node >= self.n and self.time + self.dual[node] <= self.end:
            heappush(self.events, (self.time + self.dual[node], OPEN, node, -1))

    def _scan(self, leaves: list[int]) -> None:
        """Foretell when the edges of vertices that are now "+" become tight."""
        top, label, total, since, now = self.top, self.label, self.total, self.since, self.time
        for u in leaves:
            node = top[u]
            mine = total[u] + now - since[node]
            for v, w in self.links[u]:
                other = top[v]
                sign = label[other]
                if other == node or sign == MINUS:
                    continue
                if sign == FREE:
                    at = now + w - mine - total[v]
                    if at <= self.end:
                        heappush(self.events, (at, MEET, u, v))
                        self._foresee_end(at, other)
                else:
                    at = now + (w - mine - total[v] - (now - since[other])) / 2
                    if at <= self.end:
                        heappush(self.events, (at, CLASH, u, v))

    def _foresee_end(self, at: float, node: int) -> None:
        """Note when the tree surely augments: nothing after that time needs to be foretold."""
        if self.mate[self.base[node]] < 0:
            self.end = at

    def _meet(self, at: float, u: int, v: int) -> bool:
        """Take a free node into the tree, or augment where it is unmatched."""
        node = self.top[v]
        if self.label[node] != FREE:
            return False
        now, self.time = self.time, max(self.time, at)
        if self._weight(u, v) - self.value(u) - self.total[v] > LATE:
            self.time = now
            return False
        partner = self.mate[self.base[node]]
        if partner < 0:
            self._rebase(node, v)
            self.mate[v] = u
            self._flip(u, v)
            return True
        self._fall(node, (u, v))
        self._rise(self.top[partner])
        return False

    def _weight(self, u: int, v: int) -> float:
        return next(w for x, w in self.links[u] if x == v)

    def _flip(self, u: int, partner: int) -> None:
        """Match u, in a "+" node, to its new partner, and exchange the edges on the way to the root."""
        while True:
            node = self.top[u]
            old = self.mate[self.base[node]]
            self._rebase(node, u)
            self.mate[u] = partner
            if old < 0:
                return
            odd = self.top[old]
            above, inside = self.entry[odd]
            self._rebase(odd, inside)
            self.mate[inside] = above
            u, partner = above, inside

    def _rebase(self, node: int, vertex: int) -> None:
        """Match the inside of a node so that only this vertex of it is matched to the outside."""
        tasks = [(node, vertex)]
        while tasks:
            b, v = tasks.pop()
            if self.base[b] == v or b < self.n:
                continue
            child = v
            while self.up[child] != b:
                child = self.up[child]
            i = self.kids[b].index(child)
            self.kids[b] = kids = self.kids[b][i:] + self.kids[b][:i]
            self.joints[b] = joints = self.joints[b][i:] + self.joints[b][:i]
            self.base[b] = v
            tasks.append((child, v))
            for j in range(1, len(kids), 2):
                p, q = joints[j]
                tasks += [(kids[j], p), (kids[j + 1], q)]
                self.mate[p], self.mate[q] = q, p

    def _to_root(self, node: int) -> Iterator[tuple[int, tuple[int, int]]]:
        """Yield the nodes from a "+" node to the root, each with the edge (in the node, in the next)."""
        while True:
            inside = self.base[node]
            outside = self.mate[inside]
            if outside < 0:
                yield node, (-1, -1)
                return
            yield node, (inside, outside)
            odd = self.top[outside]
            above, below = self.entry[odd]
            yield odd, (below, above)
            node = self.top[above]

    def _shrink(self, u: int, v: int) -> None:
        """Make a blossom of the cycle that the tight edge u-v closes in the tree."""
        left, right = self._arms_of(u, v)
        ring = [*reversed(left[0]), *right[0][:-1]]
        joints = [(y, x) for x, y in reversed(left[1])] + [(u, v)] + right[1]
        b = len(self.base)
        for node in ring:
            self._flush(node)
        was_minus = [x for node in ring if self.label[node] == MINUS for x in self.leaves[node]]
        inner = [x for node in ring for x in self.leaves[node]]
        self._new(b, ring, joints, inner)
        for node in ring:
            self.up[node] = b
        for x in inner:
            self.top[x] = b
        self._mark(b, PLUS)
        self._scan(was_minus)

    def _new(self, b: int, ring: list[int], joints: list[tuple[int, int]], inner: list[int]) -> None:
        self.base.append(self.base[ring[0]])
        self.kids.append(ring)
        self.joints.append(joints)
        self.leaves.append(inner)
        self.dual.append(0.0)
        self.up.append(-1)
        self.label.append(FREE)
        self.since.append(self.time)
        self.entry.append((-1, -1))

    def _arms_of(self, u: int, v: int) -> list[tuple[list[int], list[tuple[int, int]]]]:
        """Return both ways from u and v to their first common node: nodes (that node last) and edges upwards."""
        ways = self._to_root(self.top[u]), self._to_root(self.top[v])
        seen: list[dict[int, int]] = [{}, {}]
        edges: list[list[tuple[int, int]]] = [[], []]
        side, live = 0, [True, True]
        while True:
            step = next(ways[side], None) if live[side] else None
            if step is None:
                live[side] = False
            else:
                seen[side][step[0]] = len(edges[side])
                edges[side].append(step[1])
                if step[0] in seen[1 - side]:
                    meeting = step[0]
                    break
            side = 1 - side
        out = []
        for s in (0, 1):
            until = seen[s][meeting]
            out.append((list(seen[s])[: until + 1], edges[s][:until]))
        return out

    def _expand(self, b: int, at: float) -> None:
        """Open a "-" blossom whose dual is 0: a way of even length stays in the tree, the rest leaves it."""
        self.time = max(self.time, at)
        self._flush(b)
        kids, joints, (above, inside) = self.kids[b], self.joints[b], self.entry[b]
        for kid in kids:
            self.up[kid], self.label[kid] = -1, FREE
            for x in self.leaves[kid]:
                self.top[x] = kid
        self.label[b], self.leaves[b] = FREE, []
        i, k = kids.index(self.top[inside]), len(kids)
        if i % 2:
            way = [j % k for j in range(i, k + 1)]
            crossed = [joints[j] for j in range(i, k)]
        else:
            way = list(range(i, -1, -1))
            crossed = [(q, p) for p, q in (joints[j] for j in range(i - 1, -1, -1))]
        self._fall(kids[way[0]], (above, inside))
        for place in range(1, len(way), 2):
            self._fall(kids[way[place + 1]], crossed[place])
        for place in range(1, len(way), 2):
            self._rise(kids[way[place]])
        self._rescan([x for j in range(k) if j not in set(way) for x in self.leaves[kids[j]]])

    def _rescan(self, freed: list[int]) -> None:
        """Foretell when "+" nodes reach vertices that have left the tree."""
        for v in freed:
            for u, w in self.links[v]:
                if self.label[self.top[u]] == PLUS:
                    heappush(self.events, (self.time + w - self.value(u) - self.total[v], MEET, u, v))
