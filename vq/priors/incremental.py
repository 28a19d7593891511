"""A PixelCNN code by code, at the cost of the codes visited (not of a whole map each).

As in "Fast Generation for Convolutional Autoregressive Models" (arXiv 1704.06001), what the
layers found for earlier codes is kept. The vertical stack is worked out a row at a time, when
the codes above are settled; the horizontal one a column at a time, or for a run of known codes
at once. Both are matrix products whose rows are gathered from the caches.

How a matrix product rounds a row can depend on how many there are. In the products made here it
does not as long as they come in fours (measured, on 1 to 16 threads). So on a CPU batches of four
and more are filled up with rows of no meaning, and no map depends on what else is in its batch. A
smaller batch is not, because alone is fastest; its maps may differ in the last bits.

Per code and layer there remain four small calls. For that the weights are rearranged once: with
sigmoid(b) = (1 + tanh(b / 2)) / 2 a gate is one tanh and one addcmul, t_a + t_a t_b, which is
twice the gate's value; the halves go into the weights before and after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.nn import functional as F

from vq.precision import has_bf16
from vq.priors.pixelcnn import PixelCNN, gate

ROWS = 4  # of which, on a CPU, larger matrices have a multiple


@dataclass(frozen=True)
class _Weights:
    """A PixelCNN's weights as right-hand factors (inputs, outputs), the halves folded in."""

    vertical: list[Tensor]  # (columns x rows x C, 2C) each, in the vertical stack's dtype
    link: Tensor  # (layers, 2C, 2C), in the vertical stack's dtype
    horizontal: list[Tensor]  # (taps x C, 2C) each
    out: list[Tensor]  # (C, C) each
    bias_v: Tensor  # (layers, 2C)
    bias_h: Tensor  # (layers, 2C)
    halves: Tensor  # (2C,) 1 for the tanh, 1/2 for the sigmoid
    head: Tensor  # (C, head)
    head_bias: Tensor
    last: Tensor  # (head, K)
    last_bias: Tensor

    @staticmethod
    def of(prior: PixelCNN, dtype: torch.dtype) -> _Weights:
        c = prior.config.channels
        halves = prior.out.weight.new_ones(2 * c)
        halves[c:] = 0.5
        vertical, link, horizontal, out, bias_v, bias_h = [], [], [], [], [], []
        for layer in prior.layers:
            w = layer.vertical.weight.permute(3, 2, 1, 0).reshape(-1, 2 * c) * halves
            vertical.append((w if layer.first else w / 2).to(dtype))
            w = layer.link.weight[:, :, 0, 0]
            link.append((w.T * halves / halves[:, None]).to(dtype))
            bias_v.append(_bias(layer.vertical) * halves)
            bias_h.append((w @ _bias(layer.vertical) + _bias(layer.link)) * halves)
            w = layer.horizontal.weight[:, :, 0].permute(2, 1, 0)
            horizontal.append(w.reshape(-1, 2 * c) * halves)
            out.append((layer.out.weight[:, :, 0, 0].T / 2).contiguous())
        return _Weights(
            vertical,
            torch.stack(link),
            horizontal,
            out,
            torch.stack(bias_v),
            torch.stack(bias_h),
            halves,
            prior.head.weight.T.contiguous(),
            prior.head.bias,
            prior.out.weight.T.contiguous(),
            prior.out.bias,
        )


_cache: WeakKeyDictionary[PixelCNN, dict[torch.dtype, tuple[object, _Weights]]] = (
    WeakKeyDictionary()
)


def _weights(prior: PixelCNN, dtype: torch.dtype) -> _Weights:
    """The rearranged weights, made anew only when those of the network have changed."""
    state = tuple(
        (p.data_ptr(), None if p.is_inference() else p._version) for p in prior.parameters()
    )
    by_dtype = _cache.setdefault(prior, {})
    if dtype not in by_dtype or by_dtype[dtype][0] != state:
        by_dtype[dtype] = state, _Weights.of(prior, dtype)
    return by_dtype[dtype][1]


def _bias(conv: torch.nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias


class RasterWalk:
    """Logits of a batch of maps in raster order, each given the codes before it.

    A walk stands in one row: ask for `logits` from left to right, `put` the codes that are
    decided, go on with `next_row`. `select` changes which maps the batch is made of.

    codes: (B, h, w) int64, which is copied; any h and w, as for `PixelCNN.logits`. Those that
    come before a code in raster order must be valid when its logits are asked for.
    labels: (B,) int64 class indices, -1 for no class; None: no class for any.
    features: what is told instead, before every gate: see `PixelCNN.conditioned`.
    row: the first row to stand in. The cost of what is above depends on the prior's reach only.
    dtype: of the vertical stack; None: bfloat16 where that is fast, else float32. The rest is
    float32: of so few numbers at a time, bfloat16 is the slower.
    """

    @torch.inference_mode()
    def __init__(
        self,
        prior: PixelCNN,
        codes: Tensor,
        labels: Tensor | None = None,
        *,
        features: Tensor | None = None,
        row: int = 0,
        dtype: torch.dtype | None = None,
    ) -> None:
        config = prior.config
        if codes.ndim != 3 or codes.dtype != torch.int64:
            raise ValueError(f"codes must be int64 (B, h, w), not {codes.dtype} {codes.shape}")
        b, height, width = codes.shape
        if not 0 <= row < height:
            raise ValueError(f"row must be from 0 to {height - 1}, not {row}")
        if dtype is None:
            dtype = torch.bfloat16 if has_bf16(codes.device.type) else torch.float32
        weights = _weights(prior, dtype)
        c, count = config.channels, config.layers
        m, n = config.first_kernel // 2, config.kernel // 2
        self.codes, self.width = codes.clone(), width
        self._weights, self._first_half, self._half = weights, m, n
        self._table = prior.embedding.weight
        table = self._table
        # Rows of codes above the row, as embeddings, the latest last; zeros left and right.
        self._above = table.new_zeros(b, width + 2 * m, m, c, dtype=dtype)
        # Twice the vertical features of each layer but the last: rows above and the row itself.
        self._vertical = table.new_zeros(count - 1, b, width + 2 * n, n + 1, c, dtype=dtype)
        # What the vertical stack adds before the horizontal gates.
        rows = filled_up(b, codes.device)
        self._linked = table.new_zeros(width, count, rows, 2 * c)
        # The row's embeddings, and the horizontal features after each layer; zeros on the left.
        self._left = table.new_zeros(rows, m + width, c)
        self._stack = table.new_zeros(count, rows, n + width, c)
        # (rows, layers, columns, B, 2C) each; one row and column if every place is told the same.
        if features is None:
            features = prior.label_features(codes, labels)
        if features.ndim == 3:
            features = features[..., None, None]
        told = features.permute(3, 1, 4, 0, 2) * weights.halves.repeat(2)
        told_v, told_h = told.chunk(2, 4)
        self._bias_v = (told_v + weights.bias_v[:, None, None]).to(dtype)
        self._bias_h = told_h + weights.bias_h[:, None, None]
        self._size_scratch()
        self.row = row
        self._done = 0  # columns of the row whose horizontal features are there
        if row:
            self._see_above(prior, features)
        self._begin_row()

    @torch.inference_mode()
    def next_row(self) -> None:
        """Go on to the next row. Every code of this one must be settled."""
        if self.row + 1 == self.codes.shape[1]:
            raise ValueError(f"the map ends with row {self.row}")
        self.row += 1
        self._begin_row()

    @torch.inference_mode()
    def logits(self, start: int, stop: int) -> Tensor:
        """Scores (B, stop - start, K) float32 in the row, for columns from start to stop - 1.

        All codes of the row before column stop - 1 must be settled.
        """
        if not 0 <= start < stop <= self.width:
            raise ValueError(f"columns must be within 0 to {self.width}, not {start} to {stop}")
        if stop == self._done + 1:
            self._advance_column(self._done)
        elif stop > self._done:
            self._advance_run(self._done, stop)
        self._done = max(self._done, stop)
        w = self._weights
        x = self._stack[-1][:, self._half + start : self._half + stop].relu()
        x = torch.addmm(w.head_bias, x.reshape(-1, x.shape[2]), w.head).relu_()
        logits = torch.addmm(w.last_bias, x, w.last).view(len(self._left), stop - start, -1)
        return logits[: len(self.codes)]

    @torch.inference_mode()
    def put(self, column: int, values: Tensor) -> None:
        """Settle the code (B,) of each map at a column of the row, once its logits are known."""
        self._row_codes[:, column] = values
        self._left[: len(values), self._first_half + column] = F.embedding(values, self._table)

    @torch.inference_mode()
    def select(self, index: Tensor) -> None:
        """Make the batch of maps index (B') int64 of the present one; repeats are copies."""
        same = len(index) == len(self.codes)
        missing = filled_up(len(index), index.device) - len(index)
        every = torch.cat([index, index.new_zeros(missing)]) if missing else index
        for name, axis in _BATCH_AXIS.items():
            old = getattr(self, name)
            new = old.index_select(axis, every if name in _FILLED_UP else index)
            if same:
                old.copy_(new)  # in place: the views of columns stay right
            else:
                setattr(self, name, new)
        if not same:
            self._row_codes = self.codes[:, self.row]
            self._size_scratch()

    def _size_scratch(self) -> None:
        """Room for intermediate results, by size of the batch."""
        count, rows, c2 = len(self._stack), len(self._left), self._bias_h.shape[-1]
        places = filled_up(self.width * len(self.codes), self.codes.device)
        self._pre_v = self._vertical.new_empty(count, places, c2)
        self._pre_h = self._stack.new_empty(rows, c2)
        self._gated = self._stack.new_empty(rows, c2 // 2)
        self._halves_of_pre = self._pre_h.chunk(2, 1)
        self._columns: dict[int, list[tuple[Tensor, ...]]] = {}

    def _begin_row(self) -> None:
        self._advance_vertical()
        w, b = self._weights, len(self.codes)
        linked = torch.bmm(self._pre_v, w.link)[:, : self.width * b].unflatten(1, (-1, b))
        told = self._told(self._bias_h).transpose(0, 1)
        self._linked[:, :, :b].copy_(linked.transpose(0, 1)).add_(told)
        self._left[:b, self._first_half :] = self._table[self.codes[:, self.row]]
        self._row_codes = self.codes[:, self.row]
        self._done = 0

    def _told(self, bias: Tensor) -> Tensor:
        """What is added in this row: (layers, columns or 1, B, 2C)."""
        return bias[self.row if len(bias) > 1 else 0]

    def _see_above(self, prior: PixelCNN, features: Tensor) -> None:
        """Fill the caches with the last rows above self.row, as convolutions of them all."""
        m, n, width, dtype = self._first_half, self._half, self.width, self._above.dtype
        # One more than can be seen: the caches end with the row before self.row.
        seen = slice(max(0, self.row - 1 - prior.config.reach), self.row)
        codes = self.codes[:, seen]
        told = features.chunk(2, 2)[0]  # (B, layers, 2C, rows or 1, columns or 1)
        if told.shape[3] > 1:
            told = told[:, :, :, seen]
        x = self._table[codes].to(dtype)  # (B, rows, w, C)
        kept = min(m, codes.shape[1] - 1)
        if kept:  # the last of these rows comes with the next step
            self._above[:, m : m + width, m - kept :] = x[:, -1 - kept : -1].transpose(1, 2)
        x = x.permute(0, 3, 1, 2)
        with torch.autocast(x.device.type, dtype, enabled=dtype != torch.float32):
            for i, layer in enumerate(prior.layers[:-1]):
                k = layer.reach
                pre = layer.vertical(F.pad(x, (k, k, k, 0)))
                x = gate((pre[:, :, :-1] if layer.first else pre) + told[:, i])
                kept = min(n + 1, x.shape[2])
                last = 2 * x[:, :, -kept:].permute(0, 3, 2, 1)
                self._vertical[i, :, n : n + width, n + 1 - kept :] = last

    def _advance_vertical(self) -> None:
        """The vertical stack at self.row, from the rows of codes above it."""
        w, m, n, width = self._weights, self._first_half, self._half, self.width
        maps = len(self.codes)
        self._above[:, :, :-1] = self._above[:, :, 1:].clone()
        if self.row:
            above = self._table[self.codes[:, self.row - 1]]
            self._above[:, m : m + width, -1] = above
        self._vertical[:, :, :, :-1] = self._vertical[:, :, :, 1:].clone()
        x = _neighbours(self._above.flatten(2), 2 * m + 1, width)
        told = self._told(self._bias_v)
        for i, weight in enumerate(w.vertical):
            missing = self._pre_v.shape[1] - len(x)
            torch.mm(F.pad(x, (0, 0, 0, missing)) if missing else x, weight, out=self._pre_v[i])
            if i + 1 < len(w.vertical):
                pre = self._pre_v[i][: width * maps].unflatten(0, (-1, maps)) + told[i]
                a, b = pre.tanh_().chunk(2, 2)
                into = self._vertical[i]
                torch.addcmul(a, a, b, out=into[:, n : n + width, -1].transpose(0, 1))
                x = _neighbours(into.flatten(2), 2 * n + 1, width)

    def _advance_column(self, column: int) -> None:
        """The horizontal stack at one column of the row."""
        views = self._columns.get(column)
        if views is None:
            views = self._columns[column] = self._column_views(column)
        pre, gated, (a, b) = self._pre_h, self._gated, self._halves_of_pre
        w = self._weights
        for (x, linked, before, after), into, out in zip(views, w.horizontal, w.out, strict=True):
            torch.addmm(linked, x, into, out=pre)
            pre.tanh_()
            torch.addcmul(a, a, b, out=gated)
            torch.addmm(before, gated, out, out=after)

    def _column_views(self, column: int) -> list[tuple[Tensor, ...]]:
        """By layer: the inputs (B, taps x C), what is linked, the sum before and after it."""
        m, n = self._first_half, self._half
        x = self._left[:, column : column + m].flatten(1)
        before = torch.zeros_like(self._gated)
        views: list[tuple[Tensor, ...]] = []
        for linked, stack in zip(self._linked[column], self._stack, strict=True):
            after = stack[:, n + column]
            views.append((x, linked, before, after))
            x, before = stack[:, column : column + n + 1].flatten(1), after
        return views

    def _advance_run(self, start: int, stop: int) -> None:
        """The horizontal stack at columns from start to stop - 1, whose codes are known."""
        m, n, count = self._first_half, self._half, stop - start
        w, c = self._weights, self._gated.shape[1]
        x = _neighbours(self._left[:, start : stop - 1 + m], m, count)
        before: Tensor | None = None
        for i, (into, out) in enumerate(zip(w.horizontal, w.out, strict=True)):
            pre = torch.addmm(self._linked[start:stop, i].flatten(0, 1), x, into).tanh_()
            a, b = pre.chunk(2, 1)
            after = torch.mm(torch.addcmul(a, a, b), out)
            before = after if before is None else before.add_(after)
            stack = self._stack[i]
            stack[:, n + start : n + stop] = before.view(count, -1, c).transpose(0, 1)
            x = _neighbours(stack[:, start : stop + n], n + 1, count)


_BATCH_AXIS = {
    "codes": 0,
    "_above": 0,
    "_vertical": 1,
    "_linked": 2,
    "_left": 0,
    "_stack": 1,
    "_bias_v": 3,
    "_bias_h": 3,
}
_FILLED_UP = {"_linked", "_left", "_stack"}


def filled_up(rows: int, device: torch.device) -> int:
    """How many rows a matrix gets that needs so many."""
    return -(-rows // ROWS) * ROWS if device.type == "cpu" and rows > ROWS else rows


def _neighbours(x: Tensor, size: int, count: int) -> Tensor:
    """Each `size` successive columns of x (B, count + size - 1, C): (count x B, size x C)."""
    return x.unfold(1, size, 1).permute(1, 0, 3, 2).reshape(count * len(x), -1)
