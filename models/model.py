# SPDX-License-Identifier: MIT
"""The demo model in python3-torch, and its files.

Owns the network, written from the architecture's definition (Touvron et al., "LLaMA", 2023, section
2.2: RMSNorm before each part, SwiGLU, rotary positions; grouped key and value heads from Ainslie et
al., "GQA", 2023), and the reading and writing of model.safetensors.  Called by train.py, samples.py
and golden.py.  Computes in float32 and must share nothing with the device's numerics: it is what
they are compared with.
"""

import json
import math
import os
import struct

import torch
from torch import nn
from torch.nn import functional as F

UNK, BOS, EOS = 0, 1, 2

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "bos_token_id": BOS,
    "eos_token_id": EOS,
    "head_dim": 32,
    "hidden_act": "silu",
    "hidden_size": 192,
    "initializer_range": 0.02,
    "intermediate_size": 512,
    "max_position_embeddings": 512,
    "mlp_bias": False,
    "model_type": "llama",
    "num_attention_heads": 6,
    "num_hidden_layers": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "use_cache": True,
    "vocab_size": 1024,
}


class RMSNorm(nn.Module):
    """y = x / sqrt(mean(x^2) + eps) * weight"""

    def __init__(self, dim, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


def rotate(x, cos, sin):
    """Rotary positions: element i of the first half of a head pairs with i of the second."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads, self.kv_heads = c["num_attention_heads"], c["num_key_value_heads"]
        self.head_dim, dim = c["head_dim"], c["hidden_size"]
        self.q_proj = nn.Linear(dim, self.heads * self.head_dim, bias=False)
        self.k_proj = nn.Linear(dim, self.kv_heads * self.head_dim, bias=False)
        self.v_proj = nn.Linear(dim, self.kv_heads * self.head_dim, bias=False)
        self.o_proj = nn.Linear(self.heads * self.head_dim, dim, bias=False)

    def forward(self, x, cos, sin, mask, cache):
        rows, length, _ = x.shape

        def split(y, heads):
            return y.view(rows, length, heads, self.head_dim).transpose(1, 2)

        q = rotate(split(self.q_proj(x), self.heads), cos, sin)
        k = rotate(split(self.k_proj(x), self.kv_heads), cos, sin)
        v = split(self.v_proj(x), self.kv_heads)
        if cache is not None:
            if self in cache:
                k, v = torch.cat((cache[self][0], k), 2), torch.cat((cache[self][1], v), 2)
            cache[self] = k, v
        # Query head h reads key and value head h / (heads / kv_heads).
        k = k.repeat_interleave(self.heads // self.kv_heads, dim=1)
        v = v.repeat_interleave(self.heads // self.kv_heads, dim=1)
        score = q @ k.transpose(2, 3) / math.sqrt(self.head_dim) + mask
        y = F.softmax(score, dim=-1) @ v
        return self.o_proj(y.transpose(1, 2).reshape(rows, length, -1))


class MLP(nn.Module):
    """SwiGLU: down(silu(gate(x)) * up(x))"""

    def __init__(self, c):
        super().__init__()
        self.gate_proj = nn.Linear(c["hidden_size"], c["intermediate_size"], bias=False)
        self.up_proj = nn.Linear(c["hidden_size"], c["intermediate_size"], bias=False)
        self.down_proj = nn.Linear(c["intermediate_size"], c["hidden_size"], bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.input_layernorm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])
        self.self_attn = Attention(c)
        self.post_attention_layernorm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])
        self.mlp = MLP(c)

    def forward(self, x, cos, sin, mask, cache):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask, cache)
        return x + self.mlp(self.post_attention_layernorm(x))


class Model(nn.Module):
    """Parameters have the names of a Hugging Face checkpoint, less the leading "model."."""

    def __init__(self, c):
        super().__init__()
        self.config = c
        self.embed_tokens = nn.Embedding(c["vocab_size"], c["hidden_size"])
        self.layers = nn.ModuleList(Layer(c) for _ in range(c["num_hidden_layers"]))
        self.norm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])
        half = c["head_dim"] // 2
        freq = c["rope_theta"] ** (-torch.arange(half, dtype=torch.float64) / half)
        angle = torch.outer(torch.arange(c["max_position_embeddings"], dtype=torch.float64), freq)
        self.register_buffer("cos", angle.cos().float(), persistent=False)
        self.register_buffer("sin", angle.sin().float(), persistent=False)

    def init(self):
        for name, p in self.named_parameters():
            if p.dim() == 2:
                std = self.config["initializer_range"]
                if name.endswith(("o_proj.weight", "down_proj.weight")):
                    std /= math.sqrt(2 * self.config["num_hidden_layers"])
                nn.init.normal_(p, 0.0, std)

    def forward(self, ids, cache=None, start=0):
        """Logits (rows, length, vocabulary) of token ids (rows, length), positions from `start`.

        A `cache`, a dictionary that is empty before position 0, keeps keys and values for calls
        that go on from there.
        """
        end = start + ids.shape[1]
        mask = torch.full((ids.shape[1], end), -math.inf).triu(start + 1)
        x = self.embed_tokens(ids)
        for layer in self.layers:
            x = layer(x, self.cos[start:end], self.sin[start:end], mask, cache)
        return F.linear(self.norm(x), self.embed_tokens.weight)


def save(model, directory):
    """Write the weights, rounded to bfloat16, and the two config files (not the tokenizer)."""
    os.makedirs(directory, exist_ok=True)
    header, blob = {"__metadata__": {"format": "pt"}}, b""
    for name, p in sorted(model.state_dict().items()):
        # numpy has no bfloat16: take the raw 16 bits, little endian on every machine torch runs on.
        data = p.detach().to(torch.bfloat16).contiguous().view(torch.int16).numpy().tobytes()
        header["model." + name] = {
            "dtype": "BF16", "shape": list(p.shape), "data_offsets": [len(blob), len(blob) + len(data)],
        }
        blob += data
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    generation = {"bos_token_id": BOS, "eos_token_id": EOS, "do_sample": True, "temperature": 0.7,
                  "max_length": CONFIG["max_position_embeddings"]}
    replace(os.path.join(directory, "model.safetensors"), struct.pack("<Q", len(text)) + text + blob)
    for name, value in (("config.json", CONFIG), ("generation_config.json", generation)):
        replace(os.path.join(directory, name), (json.dumps(value, indent=2) + "\n").encode())


def replace(path, data):
    """Write a file so that a reader sees the old bytes or the new ones, never a part."""
    with open(path + ".new", "wb") as handle:
        handle.write(data)
    os.replace(path + ".new", path)


def load(directory):
    """The model of a directory, its weights widened to float32."""
    with open(os.path.join(directory, "config.json"), encoding="utf-8") as handle:
        model = Model(json.load(handle))
    with open(os.path.join(directory, "model.safetensors"), "rb") as handle:
        size, = struct.unpack("<Q", handle.read(8))
        header, blob = json.loads(handle.read(size)), bytearray(handle.read())
    state = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] != "BF16":
            raise ValueError(f"{directory}: {name} is {entry['dtype']}, BF16 expected")
        begin, end = entry["data_offsets"]
        raw = torch.frombuffer(blob, dtype=torch.bfloat16, offset=begin, count=(end - begin) // 2)
        state[name.removeprefix("model.")] = raw.float().view(entry["shape"])
    model.load_state_dict(state)
    return model.eval()
