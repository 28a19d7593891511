"""p(x | z) over the 256 levels of every sub-pixel, and what it costs in bits per dimension.

The paper's CIFAR-10 models (arXiv 1711.00937, section 4.1) score a sub-pixel by a softmax over
its 256 levels, given z and independent of all other sub-pixels (so the authors by e-mail:
google-deepmind/sonnet issue 131). That is 786,432 scores for a picture of 32x32: more than all
the rest of the network, so they are made and used up in small parts and never held together.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEVELS = 256
# Pixels whose scores are held at once: 3 MB stay in a processor's cache; 200 MB keep a GPU busy.
ROWS = {"cpu": 1024, "cuda": 65_536}


def to_levels(pictures: Tensor) -> Tensor:
    """Levels 0 to 255 (int64) of pictures in [0, 1], each rounded to the nearest.

    Truncating would put 63 of the 256 levels one too low once pictures have been centred and
    back: 255 * (n / 255 - 0.5 + 0.5) may lie under n.
    Raises ValueError outside [0, 1].
    """
    if pictures.numel() and not 0 <= float(pictures.min()) <= float(pictures.max()) <= 1:
        raise ValueError("pictures must lie in [0, 1]")
    return (pictures * (LEVELS - 1)).round().long()


def bits_per_dim(nats: Tensor, dims: int) -> Tensor:
    """Nats of a whole picture as bits for each of its `dims` sub-pixels."""
    return nats / (dims * math.log(2))


class PixelSoftmax(nn.Module):
    """A 1x1 convolution from `features` to 256 scores for each of `channels` sub-pixels.

    In float32 whatever the autocast. Features are (B, features, H, W), levels (B, channels, H,
    W) of any integer type.
    """

    def __init__(self, features: int, channels: int = 3) -> None:
        super().__init__()
        self.channels = channels
        self.linear = nn.Linear(features, channels * LEVELS)

    def logits(self, features: Tensor) -> Tensor:
        """Scores (B, H, W, channels, 256) float32."""
        with torch.autocast(features.device.type, enabled=False):
            scores = self.linear(features.permute(0, 2, 3, 1).float())
        return scores.unflatten(-1, (self.channels, LEVELS))

    def mean(self, features: Tensor) -> Tensor:
        """The expected picture (B, channels, H, W) in [0, 1]."""
        levels = torch.arange(LEVELS, device=features.device) / (LEVELS - 1)
        return (self.logits(features).softmax(-1) @ levels).permute(0, 3, 1, 2)

    @torch.no_grad()
    def nll(self, features: Tensor, levels: Tensor) -> Tensor:
        """-log p(levels | features) in nats (B,), summed over a picture. No gradient."""
        x, y = _rows(features, levels)
        nll = torch.empty(len(x), device=x.device)
        with torch.autocast(x.device.type, enabled=False):
            for part in _parts(x):
                scores = self.linear(x[part]).view(-1, LEVELS)
                each = F.cross_entropy(scores, y[part].flatten(), reduction="none")
                nll[part] = each.view(-1, self.channels).sum(1)
        return nll.view(len(features), -1).sum(1)

    def forward(self, features: Tensor, levels: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """The sum over pictures of weights (B,) times -log p(levels | features), and -log p (B,).

        Nats. Only the sum has a gradient, to the features and to the layer's own weights.
        """
        x, y = _rows(features, levels)
        per_row = weights.detach().float().repeat_interleave(len(x) // len(weights))
        total, nll = _WeightedNLL.apply(x, y, per_row, self.linear.weight, self.linear.bias)
        return total, nll.view(len(features), -1).sum(1)


def _rows(features: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
    """A row a pixel: features (B * H * W, C) float32, levels (B * H * W, channels) int64."""
    x = features.permute(0, 2, 3, 1).flatten(0, 2).float()
    return x, levels.permute(0, 2, 3, 1).flatten(0, 2).long()


def _parts(x: Tensor) -> list[slice]:
    """Slices of rows, small enough each."""
    n = ROWS[x.device.type]
    return [slice(i, i + n) for i in range(0, len(x), n)]


class _WeightedNLL(torch.autograd.Function):
    """Linear layer and cross-entropy in one, part by part.

    The gradient is made in the forward pass, while a part's scores are at hand, and is only
    scaled in the backward pass: one look at every score, and no memory of it. The derivative
    of -log softmax(s)[y] is softmax(s) - onehot(y).
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, y: Tensor, weights: Tensor, weight: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor]:
        grad_x, grad_weight, grad_bias = map(torch.zeros_like, (x, weight, bias))
        nll = torch.empty(len(x), device=x.device)
        with torch.autocast(x.device.type, enabled=False):
            for part in _parts(x):
                scores = F.linear(x[part], weight, bias)
                p = scores.view(-1, LEVELS).log_softmax(1)
                target = y[part].reshape(-1, 1)
                nll[part] = -p.gather(1, target).view(-1, y.shape[1]).sum(1)
                p.exp_().scatter_add_(1, target, -p.new_ones(target.shape))
                grad = p.view(len(scores), -1).mul_(weights[part, None])
                torch.mm(grad, weight, out=grad_x[part])
                grad_weight.addmm_(grad.T, x[part])
                grad_bias += grad.sum(0)
            total = nll @ weights
        ctx.save_for_backward(grad_x, grad_weight, grad_bias)
        ctx.mark_non_differentiable(nll)
        return total, nll

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad_x, grad_weight, grad_bias = ctx.saved_tensors
        return grad_x * grads[0], None, None, grad_weight * grads[0], grad_bias * grads[0]
