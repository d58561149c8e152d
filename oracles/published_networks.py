"""The community's published networks in plain PyTorch, under the names that their checkpoints have.

`make(case)` gives a module that takes volumes [batch, depth, height, width] and gives logits [batch,
height, width], and whose `maps(volume)` are the encoder's feature maps, finest first, [layers, channels,
rows, columns] each.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F


class ConvNorm(nn.Module):
    """nnU-Net's block; `all_modules` names each layer a second time."""

    def __init__(self, inputs, outputs, kernel, stride=1, bias=True, active=True):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=bias)
        self.norm = nn.InstanceNorm2d(outputs, affine=True)
        layers = [self.conv, self.norm] + [nn.LeakyReLU(0.01)] * active
        self.all_modules = nn.Sequential(*layers)

    def forward(self, x):
        return self.all_modules(x)


class Convs(nn.Module):
    def __init__(self, *convs):
        super().__init__()
        self.convs = nn.Sequential(*convs)

    def forward(self, x):
        return self.convs(x)


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = ConvNorm(inputs, outputs, 3, stride)
        self.conv2 = ConvNorm(outputs, outputs, 3, active=False)
        skip = [nn.AvgPool2d(stride)] if stride > 1 else []
        if inputs != outputs:
            skip.append(ConvNorm(inputs, outputs, 1, bias=False, active=False))
        self.skip = nn.Sequential(*skip)

    def forward(self, x):
        return F.leaky_relu(self.conv2(self.conv1(x)) + self.skip(x), 0.01)


class Blocks(nn.Module):
    def __init__(self, inputs, outputs, stride, count):
        super().__init__()
        blocks = [Block(inputs, outputs, stride)] + [Block(outputs, outputs, 1) for _ in range(count - 1)]
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x):
        return self.blocks(x)


class Hybrid(nn.Module):
    def __init__(self, features=(32, 64, 128, 256, 320, 320), blocks=(1, 3, 4, 6, 6, 6), stem=16):
        super().__init__()
        encoder, decoder, fusion, heads = nn.Module(), nn.Module(), nn.Module(), nn.Module()
        encoder.stem = Convs(ConvNorm(2 * stem, features[0], 3))
        inputs = [features[0], *features[:-1]]
        encoder.stages = nn.Sequential(*(Blocks(i, o, 1 + (n > 0), b) for n, (i, o, b) in enumerate(zip(inputs, features, blocks))))
        pairs = list(zip(features[:-1], features[1:]))[::-1]
        decoder.stages = nn.ModuleList(Convs(ConvNorm(2 * fine, fine, 3)) for fine, _ in pairs)
        decoder.transpconvs = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 2, 2) for fine, coarse in pairs)
        heads.ink = nn.Conv2d(features[0], 1, 1)
        norm = lambda: nn.InstanceNorm3d(stem, affine=True)
        conv = lambda inputs: nn.Conv3d(inputs, stem, 3, padding=1, bias=False)
        fusion.features = nn.Sequential(conv(1), norm(), nn.LeakyReLU(0.01), conv(stem), norm(), nn.LeakyReLU(0.01))
        fusion.attention_logits = nn.Conv3d(stem, 1, 1)
        self.network = nn.Module()
        self.network.shared_encoder, self.network.task_heads, self.network.shared_decoder = encoder, heads, decoder
        self.depth_fusion = fusion

    def all_maps(self, volume):
        x = self.depth_fusion.features(volume[:, None])
        weights = self.depth_fusion.attention_logits(x).softmax(2)
        x = torch.cat([(x * weights).sum(2), x.amax(2)], 1)
        encoder = self.network.shared_encoder
        maps = [encoder.stem(x)]
        for stage in encoder.stages:
            maps.append(stage(maps[-1]))
        return maps

    def maps(self, volume):
        return self.all_maps(volume)[1:]

    def forward(self, volume):
        *skips, x = self.all_maps(volume)[1:]
        decoder = self.network.shared_decoder
        for enlarge, stage, skip in zip(decoder.transpconvs, decoder.stages, skips[::-1]):
            x = stage(torch.cat([enlarge(x), skip], 1))
        return self.network.task_heads.ink(x)[:, 0]


class Bottleneck(nn.Module):
    def __init__(self, inputs, inner, stride):
        super().__init__()
        outputs = 4 * inner
        self.conv1, self.bn1 = nn.Conv3d(inputs, inner, 1, bias=False), nn.BatchNorm3d(inner)
        self.conv2, self.bn2 = nn.Conv3d(inner, inner, 3, stride, 1, bias=False), nn.BatchNorm3d(inner)
        self.conv3, self.bn3 = nn.Conv3d(inner, outputs, 1, bias=False), nn.BatchNorm3d(outputs)
        self.downsample = None
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv3d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm3d(outputs))

    def forward(self, x):
        skip = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.relu(self.bn3(self.conv3(x)) + skip)


class Backbone(nn.Module):
    def __init__(self, blocks, width):
        super().__init__()
        self.conv1 = nn.Conv3d(1, width, 7, (1, 2, 2), 3, bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        inputs = width
        for stage, count in enumerate(blocks):
            inner = width << stage
            made = []
            for block in range(count):
                made.append(Bottleneck(inputs, inner, 2 if stage and not block else 1))
                inputs = 4 * inner
            setattr(self, f"layer{stage + 1}", nn.Sequential(*made))

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        maps = [F.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))]
        for stage in range(1, 5):
            maps.append(getattr(self, f"layer{stage}")(maps[-1]))
        return maps[1:]


class DepthMax(nn.Module):
    def __init__(self, channels):
        super().__init__()
        join = lambda fine, coarse: nn.Sequential(nn.Conv2d(fine + coarse, fine, 3, padding=1, bias=False), nn.BatchNorm2d(fine), nn.ReLU())
        self.convs = nn.ModuleList(join(*pair) for pair in zip(channels, channels[1:]))
        self.logit = nn.Conv2d(channels[0], 1, 1)

    def forward(self, maps):
        maps = [m.amax(2) for m in maps]
        x = maps.pop()
        for conv, skip in zip(self.convs[::-1], maps[::-1]):
            x = conv(torch.cat([skip, F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)], 1))
        return self.logit(x)


def group_norm(channels):
    return nn.GroupNorm(max(g for g in range(1, 33) if channels % g == 0), channels)


class JoinBlock(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv1, self.gn1 = nn.Conv3d(inputs, outputs, 3, padding=1, bias=False), group_norm(outputs)
        self.conv2, self.gn2 = nn.Conv3d(outputs, outputs, 3, padding=1, bias=False), group_norm(outputs)
        self.shortcut = nn.Conv3d(inputs, outputs, 1, bias=False)

    def forward(self, x):
        y = F.relu(self.gn1(self.conv1(x)))
        return F.relu(self.gn2(self.conv2(y)) + self.shortcut(x))


class DepthAttention(nn.Module):
    def __init__(self, channels, widths):
        super().__init__()
        self.channel_reduce = nn.ModuleList(nn.Sequential(nn.Conv3d(c, w, 1, bias=False), group_norm(w), nn.ReLU()) for c, w in zip(channels, widths))
        self.decoder_blocks = nn.ModuleList(JoinBlock(coarse + fine, fine) for fine, coarse in list(zip(widths, widths[1:]))[::-1])
        self.depth_collapse = nn.Module()
        self.depth_collapse.attn_conv = nn.Conv3d(widths[0], 1, 1)
        self.logit = nn.Conv2d(widths[0], 1, 1)

    def forward(self, maps):
        *skips, x = [reduce(m) for reduce, m in zip(self.channel_reduce, maps)]
        for block, skip in zip(self.decoder_blocks, skips[::-1]):
            x = block(torch.cat([F.interpolate(x, size=skip.shape[-3:], mode="trilinear", align_corners=False), skip], 1))
        weights = self.depth_collapse.attn_conv(x).softmax(2)
        return self.logit((x * weights).sum(2))


class Folded(nn.Module):
    """What a network of volumes shows of its maps, and how its logits grow to the patch."""

    def maps(self, volume):
        return [m[0].transpose(0, 1) for m in self.volume_maps(volume)]

    def forward(self, volume):
        logits = self.decoder(self.volume_maps(volume))
        return F.interpolate(logits, size=volume.shape[-2:], mode="bilinear", align_corners=False)[:, 0]


class ResNet3d(Folded):
    BLOCKS = {50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3], 200: [3, 24, 36, 3]}
    NORMS = {"batch": lambda: nn.BatchNorm3d(1), "instance": lambda: nn.InstanceNorm3d(1, affine=True)}

    def __init__(self, layers=50, blocks=None, width=64, decoder="2d", input_norm="none", enlarge=1):
        super().__init__()
        if input_norm in self.NORMS:
            self.normalization = self.NORMS[input_norm]()
        self.enlarge = enlarge
        self.backbone = Backbone(blocks or self.BLOCKS[layers], width)
        widths = [width << stage for stage in range(4)]
        channels = [4 * w for w in widths]
        self.decoder = DepthMax(channels) if decoder == "2d" else DepthAttention(channels, widths)

    def volume_maps(self, volume):
        x = volume[:, None]
        if hasattr(self, "normalization"):
            x = self.normalization(x)
        if self.enlarge > 1:
            x = F.interpolate(x, scale_factor=self.enlarge, mode="trilinear", align_corners=False)
        return self.backbone(x)


class SameConv(nn.Module):
    """A convolution padded as TensorFlow pads."""

    def __init__(self, inputs, outputs, kernel=1, stride=1):
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.conv3d = nn.Conv3d(inputs, outputs, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(outputs, eps=1e-3)

    def forward(self, x):
        return F.relu(self.bn(self.conv3d(pad_same(x, [self.kernel] * 3, [self.stride] * 3))))


def pad_same(x, kernel, stride):
    pads = []
    for size, k, s in zip(x.shape[2:], kernel, stride):
        total = max(k - (size % s or s), 0)
        pads = [total // 2, total - total // 2] + pads
    return F.pad(x, pads)


def pool_same(x, kernel, stride):
    return F.max_pool3d(pad_same(x, kernel, stride), kernel, stride)


class NonLocal(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.g = nn.Conv3d(channels, channels // 2, 1)
        self.W_z = nn.Sequential(nn.Conv3d(channels // 2, channels, 1), nn.BatchNorm3d(channels))

    def forward(self, x):
        places = x.flatten(2)
        weights = (places.transpose(1, 2) @ places).softmax(-1)
        y = (weights @ self.g(x).flatten(2).transpose(1, 2)).transpose(1, 2)
        return x + self.W_z(y.reshape(x.shape[0], -1, *x.shape[2:]))


class Inception(nn.Module):
    def __init__(self, inputs, widths, non_local):
        super().__init__()
        a, b, c, d, e, f = widths
        if non_local:
            self.nl_block = NonLocal(inputs)
        self.b0 = SameConv(inputs, a)
        self.b1a, self.b1b = SameConv(inputs, b), SameConv(b, c, 3)
        self.b2a, self.b2b = SameConv(inputs, d), SameConv(d, e, 3)
        self.b3b = SameConv(inputs, f)

    def forward(self, x):
        if hasattr(self, "nl_block"):
            x = self.nl_block(x)
        pooled = pool_same(x, (3, 3, 3), (1, 1, 1))
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(pooled)], 1)


class I3dBackbone(nn.Module):
    MIXED = {
        "3b": [64, 96, 128, 16, 32, 32], "3c": [128, 128, 192, 32, 96, 64],
        "4b": [192, 96, 208, 16, 48, 64], "4c": [160, 112, 224, 24, 64, 64], "4d": [128, 128, 256, 24, 64, 64],
        "4e": [112, 144, 288, 32, 64, 64], "4f": [256, 160, 320, 32, 128, 128],
        "5b": [256, 160, 320, 32, 128, 128], "5c": [384, 192, 384, 48, 128, 128],
    }
    POOLS = {"3b": ((1, 3, 3), (1, 2, 2)), "4b": ((3, 3, 3), (2, 2, 2)), "5b": ((2, 2, 2), (2, 2, 2))}
    TAPS = ("3c", "4f", "5c")

    def __init__(self, narrow):
        super().__init__()
        self.Conv3d_1a_7x7 = SameConv(1, 64 // narrow, 7, 2)
        self.Conv3d_2b_1x1 = SameConv(64 // narrow, 64 // narrow)
        self.Conv3d_2c_3x3 = SameConv(64 // narrow, 192 // narrow, 3)
        inputs = 192 // narrow
        self.channels = [inputs]
        for name, widths in self.MIXED.items():
            widths = [w // narrow for w in widths]
            setattr(self, f"Mixed_{name}", Inception(inputs, widths, name in ("5b", "5c")))
            inputs = widths[0] + widths[2] + widths[4] + widths[5]
            if name in self.TAPS:
                self.channels.append(inputs)

    def forward(self, x):
        x = pool_same(self.Conv3d_1a_7x7(x), (1, 3, 3), (1, 2, 2))
        x = self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x))
        maps = [x]
        for name in self.MIXED:
            if name in self.POOLS:
                x = pool_same(x, *self.POOLS[name])
            x = getattr(self, f"Mixed_{name}")(x)
            if name in self.TAPS:
                maps.append(x)
        return maps


class I3d(Folded):
    def __init__(self, narrow=1):
        super().__init__()
        self.backbone = I3dBackbone(narrow)
        self.decoder = DepthMax(self.backbone.channels)

    def volume_maps(self, volume):
        return self.backbone(volume[:, None])


class TimeSformer(nn.Module):
    """The pip package's own network."""

    def __init__(self, image_size=64, dim=512, depth=8, heads=6, head_size=64, patch=16):
        super().__init__()
        import timesformer_pytorch

        self.grid = image_size // patch
        self.backbone = timesformer_pytorch.TimeSformer(
            dim=dim, image_size=image_size, patch_size=patch, num_frames=30, num_classes=self.grid**2,
            channels=1, depth=depth, heads=heads, dim_head=head_size, rotary_emb=True,
        )

    def maps(self, volume):
        kept = []
        hook = self.backbone.to_out.register_forward_pre_hook(lambda _, x: kept.append(x))
        tokens = self.backbone.layers[-1][2].register_forward_hook(lambda _, x, y: kept.append(x[0] + y))
        self.forward(volume)
        hook.remove(), tokens.remove()
        return [kept[0][:, None]]

    def forward(self, volume):
        logits = self.backbone(volume[:, :, None]).reshape(-1, 1, self.grid, self.grid)
        return F.interpolate(logits, size=volume.shape[-2:], mode="bilinear", align_corners=False)[:, 0]


NETWORKS = {"hybrid": Hybrid, "resnet3d": ResNet3d, "timesformer": TimeSformer, "i3d": I3d}


def make(case):
    """The network of a case's approach, in the sizes of the table of that name."""
    approach = case["approach"]
    shape = dict(case.get(approach, {}))
    if approach == "timesformer":
        shape["image_size"] = case["image"]
    return NETWORKS[approach](**shape)
