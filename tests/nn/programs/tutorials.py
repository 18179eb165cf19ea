"""Programs of tutorials, as people write them in PyTorch."""

# ruff: noqa: B007, N802, N806, N812

import copy
import io
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch import autograd
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader, Subset, TensorDataset


class DoubleConv(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, x):
        return self.double_conv(x)


class Up(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.up = nn.ConvTranspose2d(in_channels, in_channels // 2, kernel_size=2, stride=2)
        self.conv = DoubleConv(in_channels, out_channels)

    def forward(self, x1, x2):
        x1 = self.up(x1)
        diffY = x2.size()[2] - x1.size()[2]
        diffX = x2.size()[3] - x1.size()[3]
        x1 = F.pad(x1, [diffX // 2, diffX - diffX // 2, diffY // 2, diffY - diffY // 2])
        x = torch.cat([x2, x1], dim=1)
        return self.conv(x)


class UNet(nn.Module):
    def __init__(self, n_channels, n_classes):
        super().__init__()
        self.inc = DoubleConv(n_channels, 4)
        self.down = nn.Sequential(nn.MaxPool2d(2), DoubleConv(4, 8))
        self.up = Up(8, 4)
        self.outc = nn.Conv2d(4, n_classes, kernel_size=1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down(x1)
        return self.outc(self.up(x2, x1))


def dice_loss(inputs, target, epsilon=1e-6):
    sum_dim = (-1, -2)
    inter = 2 * (inputs * target).sum(dim=sum_dim)
    sets_sum = inputs.sum(dim=sum_dim) + target.sum(dim=sum_dim)
    sets_sum = torch.where(sets_sum == 0, inter, sets_sum)
    return 1 - ((inter + epsilon) / (sets_sum + epsilon)).mean()


def unet(run):
    model = run.start(UNet(1, 2))
    optimizer = optim.RMSprop(model.parameters(), lr=1e-3, weight_decay=1e-8, momentum=0.9)
    scheduler = optim.lr_scheduler.ReduceLROnPlateau(optimizer, "max", patience=0)
    criterion = nn.CrossEntropyLoss()
    images, true_masks = run.drawn(2, 1, 5, 6), run.labels(2, 2, 5, 6)
    losses = []
    for epoch in range(3):
        model.train()
        masks_pred = model(images)
        loss = criterion(masks_pred, true_masks)
        one_hot = F.one_hot(true_masks, 2).permute(0, 3, 1, 2).float()
        loss += dice_loss(F.softmax(masks_pred, dim=1).float(), one_hot)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            dice = 1 - dice_loss(F.softmax(model(images), dim=1), one_hot)
        scheduler.step(dice)
    return losses, optimizer.param_groups[0]["lr"]


def dcgan(run):
    generator = run.start(
        nn.Sequential(
            nn.ConvTranspose2d(3, 4, 2, 1, 0, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(True),
            nn.ConvTranspose2d(4, 1, 4, 2, 1, bias=False),
            nn.Tanh(),
        )
    )
    discriminator = run.start(
        nn.Sequential(
            nn.Conv2d(1, 4, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(4, 1, 2, 1, 0, bias=False),
            nn.Sigmoid(),
        )
    )
    criterion = nn.BCELoss()
    optimizerD = optim.Adam(discriminator.parameters(), lr=0.01, betas=(0.5, 0.999))
    optimizerG = optim.Adam(generator.parameters(), lr=0.01, betas=(0.5, 0.999))
    real_label, fake_label, history = 1.0, 0.0, []
    for i in range(3):
        discriminator.zero_grad()
        real, noise = run.drawn(3, 1, 4, 4, seed=i), run.drawn(3, 3, 1, 1, seed=10 + i)
        b_size = real.size(0)
        label = torch.full((b_size,), real_label, dtype=torch.float)
        output = discriminator(real).view(-1)
        errD_real = criterion(output, label)
        errD_real.backward()
        D_x = output.mean().item()
        fake = generator(noise)
        label.fill_(fake_label)
        output = discriminator(fake.detach()).view(-1)
        errD_fake = criterion(output, label)
        errD_fake.backward()
        errD = errD_real + errD_fake
        optimizerD.step()
        generator.zero_grad()
        label.fill_(real_label)
        output = discriminator(fake).view(-1)
        errG = criterion(output, label)
        errG.backward()
        optimizerG.step()
        history.append((errD.item(), errG.item(), D_x, output.mean().item()))
    return history


def wasserstein(run):
    critic = run.start(nn.Sequential(nn.Linear(2, 5), nn.LeakyReLU(0.2), nn.Linear(5, 1)))
    maker = run.start(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)))
    opt_c = optim.Adam(critic.parameters(), lr=1e-2, betas=(0.0, 0.9))
    opt_m = optim.Adam(maker.parameters(), lr=1e-2, betas=(0.0, 0.9))
    penalties = []
    for i in range(3):
        real, fake = run.drawn(4, 2, seed=i), maker(run.drawn(4, 3, seed=20 + i))
        alpha = torch.sigmoid(run.drawn(4, 1, seed=40 + i)).expand(real.size())
        interpolates = alpha * real + ((1 - alpha) * fake.detach())
        interpolates = autograd.Variable(interpolates, requires_grad=True)
        disc_interpolates = critic(interpolates)
        gradients = autograd.grad(
            outputs=disc_interpolates,
            inputs=interpolates,
            grad_outputs=torch.ones(disc_interpolates.size()),
            create_graph=True,
            retain_graph=True,
            only_inputs=True,
        )[0]
        gradient_penalty = ((gradients.norm(2, dim=1) - 1) ** 2).mean() * 10
        loss = critic(fake.detach()).mean() - critic(real).mean() + gradient_penalty
        opt_c.zero_grad()
        loss.backward()
        opt_c.step()
        opt_m.zero_grad()
        (-critic(fake).mean()).backward()
        opt_m.step()
        penalties.append(gradient_penalty.item())
    return penalties


class CharRNN(nn.Module):
    def __init__(self, input_size, hidden_size, output_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.i2h = nn.Linear(input_size + hidden_size, hidden_size)
        self.i2o = nn.Linear(input_size + hidden_size, output_size)
        self.softmax = nn.LogSoftmax(dim=1)

    def forward(self, input, hidden):
        combined = torch.cat((input, hidden), 1)
        hidden = torch.tanh(self.i2h(combined))
        return self.softmax(self.i2o(combined)), hidden

    def initHidden(self):
        return torch.zeros(1, self.hidden_size)


def char_rnn(run):
    letters = "abcdef"
    rnn = run.start(CharRNN(len(letters), 5, 3))
    criterion, learning_rate = nn.NLLLoss(), 0.05

    def line_to_tensor(line):
        tensor = torch.zeros(len(line), 1, len(letters))
        for li, letter in enumerate(line):
            tensor[li, 0, letters.find(letter)] = 1
        return tensor

    def train(category, line):
        hidden = rnn.initHidden()
        rnn.zero_grad()
        for i in range(line.size()[0]):
            output, hidden = rnn(line[i], hidden)
        loss = criterion(output, category)
        loss.backward()
        for p in rnn.parameters():
            p.data.add_(p.grad.data, alpha=-learning_rate)
        return output, loss.item()

    losses = []
    for name, label in [("abc", 0), ("fed", 1), ("cab", 2), ("bad", 1)]:
        category = torch.tensor([label], dtype=torch.long)
        output, loss = train(category, line_to_tensor(name))
        losses.append(loss)
    top_n, top_i = output.topk(1)
    return losses, top_n, top_i[0].item()


class AttnDecoder(nn.Module):
    def __init__(self, hidden_size, output_size):
        super().__init__()
        self.embedding = nn.Embedding(output_size, hidden_size)
        self.Wa = nn.Linear(hidden_size, hidden_size)
        self.Ua = nn.Linear(hidden_size, hidden_size)
        self.Va = nn.Linear(hidden_size, 1, bias=False)
        self.gru = nn.GRU(2 * hidden_size, hidden_size, batch_first=True)
        self.out = nn.Linear(hidden_size, output_size)

    def forward(self, encoder_outputs, hidden, target):
        decoder_input = torch.empty(target.size(0), 1, dtype=torch.long).fill_(0)
        outputs, attentions = [], []
        for i in range(target.size(1)):
            embedded = self.embedding(decoder_input)
            query = hidden.permute(1, 0, 2)
            scores = self.Va(torch.tanh(self.Wa(query) + self.Ua(encoder_outputs)))
            weights = F.softmax(scores.squeeze(2).unsqueeze(1), dim=-1)
            context = torch.bmm(weights, encoder_outputs)
            output, hidden = self.gru(torch.cat((embedded, context), dim=2), hidden)
            outputs.append(self.out(output))
            attentions.append(weights)
            decoder_input = target[:, i].unsqueeze(1)
        return F.log_softmax(torch.cat(outputs, dim=1), dim=-1), torch.cat(attentions, dim=1)


def seq2seq(run):
    encoder = run.start(nn.GRU(3, 4, batch_first=True))
    embedding = run.start(nn.Embedding(6, 3))
    decoder = run.start(AttnDecoder(4, 6))
    optimizers = [optim.Adam(m.parameters(), lr=0.01) for m in (encoder, embedding, decoder)]
    criterion = nn.NLLLoss()
    source, target = run.labels(6, 2, 3), run.labels(6, 2, 2, seed=3)
    losses = []
    for _ in range(2):
        for each in optimizers:
            each.zero_grad()
        encoder_outputs, hidden = encoder(embedding(source))
        outputs, attentions = decoder(encoder_outputs, hidden, target)
        loss = criterion(outputs.view(-1, outputs.size(-1)), target.view(-1))
        loss.backward()
        for each in optimizers:
            each.step()
        losses.append(loss.item())
    return losses, attentions


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, max_len=10):
        super().__init__()
        position = torch.arange(max_len).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
        pe = torch.zeros(max_len, 1, d_model)
        pe[:, 0, 0::2] = torch.sin(position * div_term)
        pe[:, 0, 1::2] = torch.cos(position * div_term)
        self.register_buffer("pe", pe)

    def forward(self, x):
        return x + self.pe[: x.size(0)]


class TransformerModel(nn.Module):
    def __init__(self, ntoken, d_model, nhead, d_hid, nlayers):
        super().__init__()
        self.pos_encoder = PositionalEncoding(d_model)
        layers = nn.TransformerEncoderLayer(d_model, nhead, d_hid, dropout=0.0)
        self.transformer_encoder = nn.TransformerEncoder(layers, nlayers)
        self.embedding = nn.Embedding(ntoken, d_model)
        self.d_model = d_model
        self.linear = nn.Linear(d_model, ntoken)
        self.init_weights()

    def init_weights(self):
        initrange = 0.1
        self.embedding.weight.data.uniform_(-initrange, initrange)
        self.linear.bias.data.zero_()
        self.linear.weight.data.uniform_(-initrange, initrange)

    def forward(self, src):
        src = self.pos_encoder(self.embedding(src) * math.sqrt(self.d_model))
        mask = nn.Transformer.generate_square_subsequent_mask(len(src))
        return self.linear(self.transformer_encoder(src, mask))


def transformer_lm(run):
    model = run.start(TransformerModel(7, 4, 2, 6, 1))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1.0, gamma=0.95)
    data = run.labels(7, 9, 2)
    total_loss = 0.0
    for i in range(0, 6, 3):
        inputs, targets = data[i : i + 3], data[i + 1 : i + 4].reshape(-1)
        output = model(inputs).view(-1, 7)
        loss = criterion(output, targets)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        total_loss += loss.item()
    scheduler.step()
    return total_loss, math.exp(total_loss / 2), scheduler.get_last_lr()


class ContrastiveLoss(nn.Module):
    def __init__(self, margin=2.0):
        super().__init__()
        self.margin = margin

    def forward(self, output1, output2, label):
        euclidean_distance = F.pairwise_distance(output1, output2, keepdim=True)
        return torch.mean(
            (1 - label) * torch.pow(euclidean_distance, 2)
            + label * torch.pow(torch.clamp(self.margin - euclidean_distance, min=0.0), 2)
        )


def siamese(run):
    net = run.start(nn.Sequential(nn.Linear(4, 5), nn.ReLU(inplace=True), nn.Linear(5, 2)))
    criterion = ContrastiveLoss()
    optimizer = optim.Adam(net.parameters(), lr=0.01)
    pairs = run.drawn(4, 4), run.drawn(4, 4, seed=2), run.labels(2, 4).float().unsqueeze(1)
    loader = DataLoader(TensorDataset(*pairs), batch_size=2)
    losses = []
    for epoch in range(2):
        for i, (img0, img1, label) in enumerate(loader, 0):
            optimizer.zero_grad()
            loss_contrastive = criterion(net(img0), net(img1), label)
            loss_contrastive.backward()
            optimizer.step()
            losses.append(loss_contrastive.item())
    return losses


def gram_matrix(input):
    a, b, c, d = input.size()
    features = input.view(a * b, c * d)
    return torch.mm(features, features.t()).div(a * b * c * d)


def style_transfer(run):
    cnn = run.start(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())).eval()
    cnn.requires_grad_(False)
    content_img, style_img = torch.sigmoid(run.drawn(1, 3, 4, 4)), run.drawn(1, 3, 4, 4, seed=2)
    content, style = cnn(content_img).detach(), gram_matrix(cnn(style_img)).detach()
    input_img = content_img.clone().requires_grad_(True)
    optimizer = optim.LBFGS([input_img], max_iter=4)
    losses, step = [], [0]
    while step[0] <= 6:

        def closure():
            with torch.no_grad():
                input_img.clamp_(0, 1)
            optimizer.zero_grad()
            features = cnn(input_img)
            style_score = 1e3 * F.mse_loss(gram_matrix(features), style)
            loss = style_score + F.mse_loss(features, content)
            loss.backward()
            step[0] += 1
            losses.append(loss.item())
            return loss

        optimizer.step(closure)
    with torch.no_grad():
        input_img.clamp_(0, 1)
    return losses, input_img


def fgsm(run):
    model = run.start(nn.Sequential(nn.Flatten(), nn.Linear(6, 3), nn.LogSoftmax(dim=1))).eval()
    data, target = torch.sigmoid(run.drawn(2, 1, 2, 3)), run.labels(3, 2)
    data.requires_grad = True
    loss = F.nll_loss(model(data), target)
    model.zero_grad()
    loss.backward()
    data_grad = data.grad.data
    perturbed = torch.clamp(data + 0.1 * data_grad.sign(), 0, 1)
    return loss, data_grad, perturbed, model(perturbed).max(1, keepdim=True)[1]


def grad_cam(run):
    model = run.start(
        nn.Sequential(
            nn.Conv2d(1, 3, 3),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(3, 2),
        )
    )
    kept = {}
    handles = [
        model[0].register_forward_hook(lambda m, i, o: kept.update(activation=o.detach())),
        model[0].register_full_backward_hook(lambda m, i, o: kept.update(gradient=o[0])),
    ]
    x = run.drawn(1, 1, 5, 5).requires_grad_(True)
    output = model(x)
    output[0, output.argmax(dim=1).item()].backward()
    weights = kept["gradient"].mean(dim=(2, 3), keepdim=True)
    cam = F.relu((weights * kept["activation"]).sum(dim=1))
    for handle in handles:
        handle.remove()
    return cam / cam.max(), len(kept), x.grad


def spatial_transformer(run):
    localization = run.start(nn.Sequential(nn.Flatten(), nn.Linear(16, 6)))
    localization[1].weight.data.mul_(0.1)
    localization[1].bias.data.copy_(torch.tensor([1, 0, 0, 0, 1, 0], dtype=torch.float))
    x, y = run.drawn(2, 1, 4, 4), run.drawn(2, 1, 4, 4, seed=2)

    def loss_of(net):
        theta = net(x).view(-1, 2, 3)
        grid = F.affine_grid(theta, x.size(), align_corners=False)
        return F.mse_loss(F.grid_sample(x, grid, align_corners=False), y)

    return run.fit(localization, optim.SGD(localization.parameters(), lr=0.1), loss_of, 3)


def checkpoints(run):
    def make():
        net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
        return net, optim.SGD(net.parameters(), lr=0.1, momentum=0.9)

    def step(net, optimizer):
        optimizer.zero_grad()
        loss = F.mse_loss(net(x), y)
        loss.backward()
        optimizer.step()
        return loss

    x, y = run.drawn(5, 3), run.drawn(5, 1, seed=2)
    net, optimizer = make()
    run.start(net)
    for epoch in range(2):
        loss = step(net, optimizer)
    PATH = io.BytesIO()
    torch.save(
        {
            "epoch": epoch,
            "model_state_dict": net.state_dict(),
            "optimizer_state_dict": optimizer.state_dict(),
            "loss": loss,
        },
        PATH,
    )
    rest = [step(net, optimizer).item() for _ in range(2)]
    PATH.seek(0)
    net, optimizer = make()
    checkpoint = torch.load(PATH, weights_only=True)
    net.load_state_dict(checkpoint["model_state_dict"])
    optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
    net.train()
    again = [step(net, optimizer).item() for _ in range(2)]
    return checkpoint["epoch"], checkpoint["loss"].detach(), rest, again


def k_fold(run):
    dataset = TensorDataset(run.drawn(6, 3), run.labels(2, 6))
    template = run.start(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)))
    results = {}
    for fold in range(3):
        test_ids = [2 * fold, 2 * fold + 1]
        train_ids = [i for i in range(6) if i not in test_ids]
        network = copy.deepcopy(template)
        optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
        for epoch in range(2):
            for inputs, targets in DataLoader(Subset(dataset, train_ids), batch_size=2):
                optimizer.zero_grad()
                F.cross_entropy(network(inputs), targets).backward()
                optimizer.step()
        correct, total = 0, 0
        with torch.no_grad():
            for inputs, targets in DataLoader(Subset(dataset, test_ids), batch_size=2):
                _, predicted = torch.max(network(inputs).data, 1)
                total += targets.size(0)
                correct += (predicted == targets).sum().item()
        results[fold] = 100.0 * (correct / total)
    return results


def spectral_gan_block(run):
    block = nn.Sequential(
        nn.utils.spectral_norm(nn.Conv2d(1, 3, 3)),
        nn.LeakyReLU(0.1),
        nn.Flatten(),
        nn.utils.parametrizations.weight_norm(nn.Linear(12, 1)),
    )
    run.start(block)
    x = run.drawn(2, 1, 4, 4)
    optimizer = optim.Adam(block.parameters(), lr=0.01)
    return run.fit(block, optimizer, lambda m: F.relu(1.0 - m(x)).mean(), 3)


def video(run):
    model = run.start(
        nn.Sequential(
            nn.Conv3d(1, 2, 3, padding=1, bias=False),
            nn.BatchNorm3d(2),
            nn.ReLU(),
            nn.MaxPool3d((1, 2, 2)),
            nn.AdaptiveAvgPool3d(1),
            nn.Flatten(),
            nn.Linear(2, 3),
        )
    )
    x, y = run.drawn(2, 1, 3, 4, 4), run.labels(3, 2)
    optimizer = optim.AdamW(model.parameters(), lr=0.01)
    return run.fit(model, optimizer, lambda m: F.cross_entropy(m(x), y), 3)


def averaged_weights(run):
    model = run.start(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)))
    ema_model = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)
    )
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    x, y = run.drawn(4, 3), run.drawn(4, 1, seed=2)
    for epoch in range(3):
        optimizer.zero_grad()
        F.l1_loss(model(x), y).backward()
        optimizer.step()
        ema_model.update_parameters(model)
    torch.optim.swa_utils.update_bn([x], ema_model)
    ema_model.eval()
    return ema_model(x), ema_model.n_averaged


def denoising_autoencoder(run):
    encoder = nn.Sequential(nn.Linear(6, 4), nn.ReLU(True), nn.Linear(4, 2))
    decoder = nn.Sequential(nn.Linear(2, 4), nn.ReLU(True), nn.Linear(4, 6), nn.Sigmoid())
    model = run.start(nn.Sequential(encoder, decoder))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, weight_decay=1e-5)
    images, noise = torch.sigmoid(run.drawn(4, 1, 2, 3)), run.drawn(4, 6, seed=4) * 0.1
    losses = []
    for epoch in range(3):
        img = images.view(images.size(0), -1)
        output = model(img + noise)
        sparsity = torch.norm(encoder(img), p=1) / img.size(0)
        loss = nn.MSELoss()(output, img) + 1e-2 * sparsity
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, output.view(-1, 1, 2, 3)
