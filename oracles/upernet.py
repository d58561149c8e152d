"""UperNet and the simple feature pyramid in plain PyTorch, with mmsegmentation's names."""
import torch
import torch.nn as nn
import torch.nn.functional as F


def resize(x, size):
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


class ConvModule(nn.Module):
    def __init__(self, inputs, outputs, kernel):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


class UperNet(nn.Module):
    def __init__(self, channels, width, scales=(1, 2, 3, 6)):
        super().__init__()
        *finer, coarsest = channels
        self.psp_modules = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(scale), ConvModule(coarsest, width, 1)) for scale in scales
        )
        self.bottleneck = ConvModule(coarsest + len(scales) * width, width, 3)
        self.lateral_convs = nn.ModuleList(ConvModule(c, width, 1) for c in finer)
        self.fpn_convs = nn.ModuleList(ConvModule(width, width, 3) for _ in finer)
        self.fpn_bottleneck = ConvModule(len(channels) * width, width, 3)

    def forward(self, features):
        coarsest = features[-1]
        context = [coarsest] + [resize(m(coarsest), coarsest.shape[2:]) for m in self.psp_modules]
        laterals = [conv(x) for conv, x in zip(self.lateral_convs, features)]
        laterals.append(self.bottleneck(torch.cat(context, 1)))
        for i in range(len(laterals) - 1, 0, -1):
            laterals[i - 1] = laterals[i - 1] + resize(laterals[i], laterals[i - 1].shape[2:])
        maps = [conv(x) for conv, x in zip(self.fpn_convs, laterals)] + [laterals[-1]]
        maps = maps[:1] + [resize(x, maps[0].shape[2:]) for x in maps[1:]]
        return self.fpn_bottleneck(torch.cat(maps, 1))


class SimplePyramid(nn.Module):
    def __init__(self, channels):
        super().__init__()
        double = lambda: nn.ConvTranspose2d(channels, channels, 2, stride=2)
        self.fpn1 = nn.Sequential(double(), nn.BatchNorm2d(channels), nn.GELU(), double())
        self.fpn2 = nn.Sequential(double())

    def forward(self, maps):
        return [self.fpn1(maps[0]), self.fpn2(maps[1]), maps[2], F.max_pool2d(maps[3], 2, 2)]
