"""Kinds of learning, as people write them in PyTorch."""

# ruff: noqa: B007, B905, C417, N806, N812

import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim


class MixtureOfExperts(nn.Module):
    def __init__(self, width, experts, k=2):
        super().__init__()
        self.gate = nn.Linear(width, experts)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 6), nn.GELU(), nn.Linear(6, 2))
            for _ in range(experts)
        )
        self.k = k

    def forward(self, x):
        weights = F.softmax(self.gate(x), dim=-1)
        top, chosen = torch.topk(weights, self.k, dim=-1)
        sparse = torch.zeros_like(weights).scatter(1, chosen, top)
        sparse = sparse / sparse.sum(dim=-1, keepdim=True)
        outputs = torch.stack([expert(x) for expert in self.experts], dim=1)
        balance = (weights.mean(0) * (sparse > 0).float().mean(0)).sum()
        return torch.einsum("be,beo->bo", sparse, outputs), balance


def mixture_of_experts(run):
    model = run.start(MixtureOfExperts(3, 4))
    x, y = run.drawn(5, 3), run.drawn(5, 2, seed=2)

    def loss_of(m):
        out, balance = m(x)
        return F.smooth_l1_loss(out, y) + 0.01 * balance

    return run.fit(model, optim.AdamW(model.parameters(), lr=0.01), loss_of), model(x)


class DQN(nn.Module):
    def __init__(self, n_observations, n_actions):
        super().__init__()
        self.layer1 = nn.Linear(n_observations, 6)
        self.layer2 = nn.Linear(6, n_actions)

    def forward(self, x):
        x = F.relu(self.layer1(x))
        return self.layer2(x)


def dqn(run):
    policy_net = run.start(DQN(3, 2))
    target_net = DQN(3, 2)
    target_net.load_state_dict(policy_net.state_dict())
    optimizer = optim.AdamW(policy_net.parameters(), lr=1e-2, amsgrad=True)
    GAMMA, TAU = 0.99, 0.1
    losses = []
    for step in range(4):
        state_batch = torch.cat([run.drawn(1, 3, seed=10 * step + i) for i in range(4)])
        next_states = [None if i == 2 else run.drawn(1, 3, seed=50 + i) for i in range(4)]
        action_batch = torch.tensor([[0], [1], [1], [0]])
        reward_batch = torch.tensor([1.0, 0.0, -1.0, 0.5])
        non_final_mask = torch.tensor(
            tuple(map(lambda s: s is not None, next_states)), dtype=torch.bool
        )
        non_final_next_states = torch.cat([s for s in next_states if s is not None])
        state_action_values = policy_net(state_batch).gather(1, action_batch)
        next_state_values = torch.zeros(4)
        with torch.no_grad():
            next_state_values[non_final_mask] = target_net(non_final_next_states).max(1).values
        expected = (next_state_values * GAMMA) + reward_batch
        criterion = nn.SmoothL1Loss()
        loss = criterion(state_action_values, expected.unsqueeze(1))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_value_(policy_net.parameters(), 100)
        optimizer.step()
        target_net_state_dict = target_net.state_dict()
        policy_net_state_dict = policy_net.state_dict()
        for key in policy_net_state_dict:
            target_net_state_dict[key] = policy_net_state_dict[
                key
            ] * TAU + target_net_state_dict[key] * (1 - TAU)
        target_net.load_state_dict(target_net_state_dict)
        losses.append(loss.item())
    with torch.no_grad():
        action = policy_net(run.drawn(1, 3)).max(1).indices.view(1, 1)
    return losses, action.item(), dict(target_net.state_dict())


def reinforce(run):
    policy = run.start(
        nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2), nn.Softmax(dim=-1))
    )
    optimizer = optim.Adam(policy.parameters(), lr=1e-2)
    losses = []
    for episode in range(2):
        log_probs, rewards = [], [1.0, 0.5, 2.0]
        for step in range(3):
            state = run.drawn(3, seed=step).unsqueeze(0)
            probs = policy(state)
            action = torch.tensor([step % 2])
            log_probs.append(torch.log(probs.squeeze(0)[action]))
        R, returns = 0, []
        for r in rewards[::-1]:
            R = r + 0.9 * R
            returns.insert(0, R)
        returns = torch.tensor(returns)
        returns = (returns - returns.mean()) / (returns.std() + np.finfo(np.float32).eps.item())
        policy_loss = [-log_prob * R for log_prob, R in zip(log_probs, returns)]
        optimizer.zero_grad()
        policy_loss = torch.cat(policy_loss).sum()
        policy_loss.backward()
        optimizer.step()
        losses.append(policy_loss.item())
    return losses


def graph_convolution(run):
    class GCN(nn.Module):
        def __init__(self, nfeat, nhid, nclass):
            super().__init__()
            self.weight = nn.Parameter(torch.FloatTensor(nfeat, nhid))
            self.bias = nn.Parameter(torch.zeros(nhid))
            self.out = nn.Linear(nhid, nclass)
            stdv = 1.0 / math.sqrt(self.weight.size(1))
            self.weight.data.uniform_(-stdv, stdv)

        def forward(self, x, adj):
            support = torch.mm(x, self.weight)
            x = F.relu(torch.matmul(adj, support) + self.bias)
            x = F.dropout(x, 0.0, training=self.training)
            return F.log_softmax(self.out(x), dim=1)

    edges = torch.tensor([[0, 1, 2, 3, 1], [1, 2, 3, 0, 3]])
    adj = torch.zeros(4, 4)
    adj[edges[0], edges[1]] = 1
    adj = adj + adj.t().multiply(adj.t() > adj) + torch.eye(4)
    degree = adj.sum(1)
    d_inv_sqrt = torch.diag(degree.pow(-0.5))
    adj = d_inv_sqrt @ adj @ d_inv_sqrt
    model = run.start(GCN(3, 4, 2))
    x, y = run.drawn(4, 3), run.labels(2, 4)
    idx_train = torch.LongTensor([0, 2, 3])
    losses = run.fit(
        model,
        optim.Adam(model.parameters(), lr=0.01),
        lambda m: F.nll_loss(m(x, adj)[idx_train], y[idx_train]),
    )
    preds = model(x, adj).max(1)[1].type_as(y)
    return losses, preds.eq(y).double().sum() / len(y)


def normalizing_flow(run):
    class Coupling(nn.Module):
        def __init__(self, dim, flip):
            super().__init__()
            self.flip = flip
            self.net = nn.Sequential(nn.Linear(dim // 2, 6), nn.Tanh(), nn.Linear(6, dim))

        def forward(self, x):
            x1, x2 = x.chunk(2, dim=-1)
            if self.flip:
                x1, x2 = x2, x1
            s, t = self.net(x1).chunk(2, dim=-1)
            s = torch.tanh(s)
            y2 = x2 * torch.exp(s) + t
            pair = (y2, x1) if self.flip else (x1, y2)
            return torch.cat(pair, dim=-1), s.sum(-1)

    flows = run.start(nn.ModuleList([Coupling(4, i % 2 == 1) for i in range(2)]))
    x = run.drawn(5, 4)

    def loss_of(flows):
        z, log_det = x, torch.zeros(x.shape[0])
        for flow in flows:
            z, ld = flow(z)
            log_det = log_det + ld
        prior = -0.5 * (z**2 + math.log(2 * math.pi)).sum(-1)
        return -(prior + log_det).mean()

    return run.fit(flows, optim.Adam(flows.parameters(), lr=0.01), loss_of)
