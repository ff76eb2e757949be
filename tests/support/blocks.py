"""Small versions of blocks that classification networks are made of elsewhere: in other zoos, in research code."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Blur(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.c = c
        a = torch.tensor([1.0, 2, 1])
        f = a[:, None] * a[None] / 16
        self.register_buffer("filt", f[None, None].repeat(c, 1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), self.filt.to(x.dtype), stride=2, groups=self.c)


class Ghost(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.p = nn.Sequential(nn.Conv2d(2, 4, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.q = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.o = nn.Linear(7, 3)

    def forward(self, x: Tensor) -> Tensor:
        a = self.p(x)
        b = self.q(a)
        return self.o(torch.cat([a, b], 1)[:, :7].mean((2, 3)))


class SplitA(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Conv2d(2, 8, 3, padding=1, groups=2)
        self.f1 = nn.Conv2d(4, 6, 1)
        self.f2 = nn.Conv2d(6, 8, 1)
        self.o = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.c(x))
        B, RC, H, W = h.shape
        h = h.reshape(B, 2, RC // 2, H, W)
        g = h.sum(1).mean((2, 3), keepdim=True)
        a = self.f2(F.relu(self.f1(g)))
        a = a.view(B, 1, 2, -1).transpose(1, 2).softmax(1).reshape(B, -1, 1, 1)
        out = (h * a.reshape(B, 2, RC // 2, 1, 1)).sum(1)
        return self.o(out.mean((2, 3)))


class Eca(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(2, 6, 3)
        self.e = nn.Conv1d(1, 1, 3, padding=1, bias=False)
        self.o = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.a(x))
        y = h.mean((2, 3)).view(len(x), 1, -1)
        y = self.e(y).view(len(x), -1, 1, 1).sigmoid()
        return self.o((h * y).mean((2, 3)))


class WS(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        w = F.batch_norm(
            self.weight.reshape(1, self.out_channels, -1), None, None, training=True, momentum=0.0, eps=1e-06
        ).reshape_as(self.weight)
        return F.conv2d(x, w, self.bias, self.stride, self.padding)


class S2D(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(2, 4, 3, padding=1)
        self.b = nn.Conv2d(16, 5, 1)
        self.o = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.a(x))
        N, c, H, W = h.shape
        h = h.view(N, c, H // 2, 2, W // 2, 2).permute(0, 3, 5, 1, 2, 4).contiguous().view(N, c * 4, H // 2, W // 2)
        return self.o(F.relu(self.b(h)).mean((2, 3)))


class Star(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.s = nn.Parameter(torch.ones(1))
        self.b = nn.Parameter(torch.zeros(1))
        self.a = nn.Linear(4, 6)
        self.o = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.o(self.s * F.relu(self.a(x)) ** 2 + self.b)


class Cls(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.p = nn.Conv2d(2, 8, 2, 2)
        self.cls = nn.Parameter(torch.randn(1, 1, 8))
        self.pos = nn.Parameter(torch.randn(1, 10, 8))
        self.n = nn.LayerNorm(8)
        self.qkv = nn.Linear(8, 24)
        self.pr = nn.Linear(8, 8)
        self.n2 = nn.LayerNorm(8)
        self.f = nn.Linear(8, 12)
        self.g = nn.Linear(12, 8)
        self.h = nn.Linear(8, 3)
        self.ls = nn.Parameter(torch.ones(8))
        self.qn = nn.LayerNorm(4)
        self.kn = nn.LayerNorm(4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.p(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls.expand(x.shape[0], -1, -1), x), 1) + self.pos
        B, N, D = x.shape
        q, k, v = self.qkv(self.n(x)).reshape(B, N, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
        q, k = (self.qn(q), self.kn(k))
        x = x + self.ls * self.pr(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(B, N, D))
        x = x + self.g(F.gelu(self.f(self.n2(x))))
        return self.h(x[:, 0])


class Rope(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 8)
        self.q = nn.Linear(8, 8)
        self.k = nn.Linear(8, 8)
        self.v = nn.Linear(8, 8)
        self.o = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x)
        B, N, _ = h.shape
        f = torch.outer(torch.arange(N, dtype=h.dtype), 1 / 100 ** (torch.arange(0, 4, 2) / 4.0))
        c, si = (f.cos().repeat_interleave(2, -1), f.sin().repeat_interleave(2, -1))

        def rot(t: Tensor) -> Tensor:
            return torch.stack([-t[..., 1::2], t[..., ::2]], -1).flatten(-2)

        q, k, v = [m(h).view(B, N, 2, 4).transpose(1, 2) for m in (self.q, self.k, self.v)]
        q, k = (q * c + rot(q) * si, k * c + rot(k) * si)
        y = (q @ k.transpose(-1, -2) / 2).softmax(-1) @ v
        return self.o(y.transpose(1, 2).flatten(2).mean(1))


def cb(i: int, o: int, k: int = 3, s: int = 1, g: int = 1, act: bool = True) -> nn.Sequential:
    """Return a convolution with batch-norm, and ReLU or not."""
    return nn.Sequential(
        nn.Conv2d(i, o, k, s, k // 2, groups=g, bias=False), nn.BatchNorm2d(o), *([nn.ReLU()] if act else [])
    )


class Talking(nn.Module):
    def __init__(self, d: int = 8, h: int = 2) -> None:
        super().__init__()
        self.h = h
        self.e = nn.Linear(4, d)
        self.qkv = nn.Linear(d, 3 * d)
        self.pl = nn.Linear(h, h)
        self.pw = nn.Linear(h, h)
        self.p = nn.Linear(d, d)
        self.o = nn.Linear(d, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.e(x)
        B, N, D = x.shape
        q, k, v = self.qkv(x).reshape(B, N, 3, self.h, D // self.h).permute(2, 0, 3, 1, 4)
        a = q @ k.transpose(-2, -1)
        a = self.pl(a.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).softmax(-1)
        a = self.pw(a.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return self.o((x + self.p((a @ v).transpose(1, 2).reshape(B, N, D))).mean(1))


class XCA(nn.Module):
    def __init__(self, d: int = 8, h: int = 2) -> None:
        super().__init__()
        self.h = h
        self.e = nn.Linear(4, d)
        self.qkv = nn.Linear(d, 3 * d)
        self.t = nn.Parameter(torch.ones(h, 1, 1))
        self.p = nn.Linear(d, d)
        self.o = nn.Linear(d, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.e(x)
        B, N, D = x.shape
        q, k, v = self.qkv(x).reshape(B, N, 3, self.h, D // self.h).permute(2, 0, 3, 4, 1).unbind(0)
        a = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1) * self.t
        a = a.softmax(-1)
        return self.o((x + self.p((a @ v).permute(0, 3, 1, 2).reshape(B, N, D))).mean(1))


class Pool(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(2, 6, 3)
        self.n = nn.GroupNorm(1, 6)
        self.p = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        self.o = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x)
        y = self.n(h)
        h = h + self.p(y) - y
        return self.o(h.mean((2, 3)))


class LeViT(nn.Module):
    def __init__(self, d: int = 8, h: int = 2, N: int = 5) -> None:
        super().__init__()
        self.h = h
        self.e = nn.Linear(4, d)
        self.q = nn.Linear(d, 4 * h + 4 * h + 6 * h, bias=False)
        self.bn = nn.BatchNorm1d(14 * h)
        self.ab = nn.Parameter(torch.zeros(h, N))
        self.register_buffer("idx", (torch.arange(N)[:, None] - torch.arange(N)[None]).abs())
        self.p = nn.Linear(6 * h, d)
        self.o = nn.Linear(d, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.e(x)
        B, N, _ = x.shape
        t = self.q(x)
        t = self.bn(t.flatten(0, 1)).reshape_as(t)
        q, k, v = t.view(B, N, self.h, -1).split([4, 4, 6], 3)
        q, k, v = [z.permute(0, 2, 1, 3) for z in (q, k, v)]
        a = (q @ k.transpose(-2, -1) + self.ab[:, self.idx]).softmax(-1)
        y = (a @ v).transpose(1, 2).reshape(B, N, -1)
        return self.o((x + self.p(F.hardswish(y))).mean(1))


class MViT(nn.Module):
    def __init__(self, d: int = 6) -> None:
        super().__init__()
        self.a = cb(2, d)
        self.at = nn.TransformerEncoderLayer(d, 2, 12, 0.0, batch_first=True, norm_first=True, activation="gelu")
        self.f = cb(2 * d, 5)
        self.o = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x)
        B, c, H, W = h.shape
        y = (
            h.reshape(B * c * H // 2, 2, W // 2, 2)
            .transpose(1, 2)
            .reshape(B, c, H * W // 4, 4)
            .transpose(1, 3)
            .reshape(B * 4, H * W // 4, c)
        )
        y = self.at(y)
        y = (
            y.view(B, 4, H * W // 4, c)
            .transpose(1, 3)
            .reshape(B * c * H // 2, W // 2, 2, 2)
            .transpose(1, 2)
            .reshape(B, c, H, W)
        )
        return self.o(self.f(torch.cat([h, y], 1)).mean((2, 3)))


class Swi(nn.Module):
    def __init__(self, d: int = 6) -> None:
        super().__init__()
        self.e = nn.Linear(4, d)
        self.w = nn.Linear(d, 16)
        self.n = nn.LayerNorm(8)
        self.p = nn.Linear(8, d)
        self.o = nn.Linear(d, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.e(x)
        a, b = self.w(h).chunk(2, -1)
        return self.o(h + self.p(self.n(F.silu(a) * b)))


class NF(nn.Conv2d):
    def __init__(self, *a: object, **k: object) -> None:
        super().__init__(*a, **k)
        self.gain = nn.Parameter(torch.ones(self.out_channels, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        w = F.batch_norm(
            self.weight.reshape(1, self.out_channels, -1),
            None,
            None,
            weight=(self.gain * 0.3).view(-1),
            training=True,
            momentum=0.0,
            eps=1e-05,
        ).reshape_as(self.weight)
        return F.conv2d(x, w, self.bias, self.stride, self.padding)


class Rep(nn.Module):
    def __init__(self, c: int = 6) -> None:
        super().__init__()
        self.s = cb(2, c)
        self.i = nn.BatchNorm2d(c)
        self.d = cb(c, c, 3, act=False)
        self.e = cb(c, c, 1, act=False)
        self.o = nn.Linear(c, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.s(x)
        return self.o(F.relu(self.d(h) + self.e(h) + self.i(h)).mean((2, 3)))


class HR(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = cb(2, 6)
        self.b = cb(6, 4, 3, 2)
        self.ab = cb(6, 4, 3, 2, act=False)
        self.ba = cb(4, 6, 1, act=False)
        self.o = nn.Linear(10, 3)

    def forward(self, x: Tensor) -> Tensor:
        a = self.a(x)
        b = self.b(a)
        a2 = F.relu(a + F.interpolate(self.ba(b), scale_factor=2, mode="nearest"))
        b2 = F.relu(b + self.ab(a))
        return self.o(torch.cat([a2.mean((2, 3)), b2.mean((2, 3))], 1))


class Res2(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = cb(2, 8)
        self.b = nn.ModuleList([cb(2, 2) for _ in range(3)])
        self.c = cb(8, 8, 1, act=False)
        self.o = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x)
        p = h.split(2, 1)
        out = []
        y = torch.zeros_like(p[0])
        for i in range(3):
            y = self.b[i](y + p[i])
            out.append(y)
        out.append(p[3])
        return self.o(F.relu(h + self.c(torch.cat(out, 1))).mean((2, 3)))


class CBAM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = cb(2, 8)
        self.f = nn.Sequential(nn.Conv2d(8, 4, 1, bias=False), nn.ReLU(), nn.Conv2d(4, 8, 1, bias=False))
        self.s = nn.Conv2d(2, 1, 3, padding=1, bias=False)
        self.o = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x)
        h = h * torch.sigmoid(self.f(h.mean((2, 3), keepdim=True)) + self.f(h.amax((2, 3), keepdim=True)))
        h = h * torch.sigmoid(self.s(torch.cat([h.mean(1, keepdim=True), h.amax(1, keepdim=True)], 1)))
        return self.o(h.mean((2, 3)))


class Aff(nn.Module):
    def __init__(self, d: int = 6, n: int = 5) -> None:
        super().__init__()
        self.e = nn.Linear(4, d)
        self.al = nn.Parameter(torch.ones(1, 1, d))
        self.be = nn.Parameter(torch.zeros(1, 1, d))
        self.t = nn.Linear(n, n)
        self.l1 = nn.Parameter(torch.ones(d))
        self.f = nn.Linear(d, 12)
        self.g = nn.Linear(12, d)
        self.o = nn.Linear(d, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.e(x)
        h = h + self.l1 * self.t(torch.addcmul(self.be, self.al, h).transpose(1, 2)).transpose(1, 2)
        h = h + self.g(F.gelu(self.f(h)))
        return self.o(h.mean(1))


class OptionA(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = cb(2, 4)
        self.b1 = cb(4, 8, 3, 2)
        self.b2 = cb(8, 8, 3, act=False)
        self.o = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x)
        sc = F.pad(h[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2), "constant", 0)
        h = F.relu(sc + self.b2(self.b1(h)))
        return self.o(F.avg_pool2d(h, h.size(3)).view(h.size(0), -1))


class Cap(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Conv2d(2, 12, 3)
        self.W = nn.Parameter(torch.randn(1, 3, 16 * 3, 5, 4) * 0.3)
        self.o = nn.Linear(15, 3)

    def forward(self, x: Tensor) -> Tensor:
        u = self.c(x).view(len(x), 3, 4, -1).permute(0, 1, 3, 2).reshape(len(x), -1, 4)
        u = u / (1 + u.pow(2).sum(-1, keepdim=True))
        return self.o((u @ torch.ones(4, 5, dtype=u.dtype)).flatten(1)[:, :15])


def turned(t: Tensor) -> Tensor:
    """Return queries or keys turned by their positions, in halves."""
    half, places = t.shape[-1] // 2, torch.arange(t.shape[-2], dtype=t.dtype)
    angles = torch.outer(places, 0.3 ** torch.arange(half, dtype=t.dtype)).repeat(1, 2)
    return t * angles.cos() + torch.cat((-t[..., half:], t[..., :half]), -1) * angles.sin()


class Grouped(nn.Module):
    """Two query heads for each of two keys, of which `rotary` units are turned; `fused`: all in one matrix."""

    def __init__(self, rotary: int, *, fused: bool) -> None:
        super().__init__()
        self.r, self.fused = rotary, fused
        self.e = nn.Linear(4, 5)
        if fused:
            self.qkv = nn.Linear(5, 32)
        else:
            self.q, self.k, self.v = nn.Linear(5, 16), nn.Linear(5, 8), nn.Linear(5, 8)
        self.o = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.e(x)
        parts = self.qkv(h).split([16, 8, 8], -1) if self.fused else [part(h) for part in (self.q, self.k, self.v)]
        q, k, v = (part.unflatten(-1, (-1, 4)).transpose(1, 2) for part in parts)
        q, k = (torch.cat((turned(t[..., : self.r]), t[..., self.r :]), -1) for t in (q, k))
        k, v = (t[:, :, None].expand(-1, -1, 2, -1, -1).reshape(q.shape) for t in (k, v))
        return self.o(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2).mean(1))


class Lite(nn.Module):
    """Linear attention at two scales, the sums of keys along with the values, as a place of ones beside these."""

    def __init__(self, d: int = 3, h: int = 2) -> None:
        super().__init__()
        self.d = d
        self.a = nn.Conv2d(2, 5, 1)
        self.qkv = nn.Conv2d(5, 3 * h * d, 1)
        self.near = nn.Conv2d(3 * h * d, 3 * h * d, 3, padding=1, groups=3 * h * d)
        self.mix = nn.Conv2d(3 * h * d, 3 * h * d, 1, groups=3 * h)
        self.o = nn.Linear(2 * h * d, 3)

    def forward(self, x: Tensor) -> Tensor:
        t = self.qkv(self.a(x))
        t = torch.cat([t, self.mix(self.near(t))], 1)
        q, k, v = t.reshape(len(x), -1, 3 * self.d, x.shape[2] * x.shape[3]).mT.chunk(3, -1)
        y = F.relu(q) @ (F.relu(k).mT @ F.pad(v, (0, 1), value=1.0))
        return self.o((y[..., :-1] / (y[..., -1:] + 0.1)).mT.reshape(len(x), -1, x.shape[2] * x.shape[3]).mean(2))


BLOCKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "blur": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 6, 3), nn.ReLU(), Blur(6), nn.Conv2d(6, 4, 1), nn.Flatten(), nn.Linear(16, 3)
        ),
        (2, 6, 6),
    ),
    "ghost": (lambda: Ghost(), (2, 5, 5)),
    "splitattn": (lambda: SplitA(), (2, 5, 5)),
    "eca": (lambda: Eca(), (2, 5, 5)),
    "ws": (
        lambda: nn.Sequential(WS(2, 6, 3), nn.GroupNorm(6, 6), nn.ReLU(), WS(6, 4, 1), nn.Flatten(), nn.Linear(36, 3)),
        (2, 5, 5),
    ),
    "space to depth": (lambda: S2D(), (2, 6, 6)),
    "starrelu": (lambda: Star(), (4,)),
    "timm vit qk norm": (lambda: Cls(), (2, 6, 6)),
    "rope": (lambda: Rope(), (5, 4)),
    "cait talking heads": (lambda: Talking(), (5, 4)),
    "xcit": (lambda: XCA(), (5, 4)),
    "poolformer": (lambda: Pool(), (2, 6, 6)),
    "levit": (lambda: LeViT(), (5, 4)),
    "mobilevit": (lambda: MViT(), (2, 4, 4)),
    "swiglu ln": (lambda: Swi(), (4,)),
    "nfnet": (
        lambda: nn.Sequential(
            NF(2, 6, 3), nn.GELU(), NF(6, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3)
        ),
        (2, 6, 6),
    ),
    "repvgg": (lambda: Rep(), (2, 6, 6)),
    "hrnet": (lambda: HR(), (2, 6, 6)),
    "res2net": (lambda: Res2(), (2, 6, 6)),
    "cbam": (lambda: CBAM(), (2, 6, 6)),
    "resmlp": (lambda: Aff(), (5, 4)),
    "resnet20 option A": (lambda: OptionA(), (2, 6, 6)),
    "capsule-like": (lambda: Cap(), (2, 6, 6)),
    "grouped, partly rotary": (lambda: Grouped(2, fused=False), (3, 4)),
    "grouped and rotary, fused": (lambda: Grouped(4, fused=True), (3, 4)),
    "lite attention": (lambda: Lite(), (2, 3, 3)),
}
