"""The classes and settings that accelerators support, by their place in the model. Everything else is refused.

Classes are compared exactly: a subclass, a new attribute or a hook is never ignored.
"""

from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise

import torch
from torch import nn
from torch.nn.modules import module as nn_module
from torch.optim import Optimizer
from torch.optim import optimizer as torch_optimizer

from seq2seq_lab.forcing.plan import Plan
from seq2seq_lab.models.attention.additive import AdditiveAttention
from seq2seq_lab.models.attention.dot import DotAttention
from seq2seq_lab.models.attention.general import GeneralAttention
from seq2seq_lab.models.attention.scaled_dot import ScaledDotAttention
from seq2seq_lab.models.decoder import Decoder
from seq2seq_lab.models.dropout import Dropout
from seq2seq_lab.models.encoder import Bridge, Encoder
from seq2seq_lab.models.rnn import RNN
from seq2seq_lab.models.seq2seq import Seq2Seq
from seq2seq_lab.targets.base import Target
from seq2seq_lab.targets.gold import Gold
from seq2seq_lab.training.objectives.base import Objective
from seq2seq_lab.training.objectives.nll import NegativeLogLikelihood
from seq2seq_lab.training.update import Job

SCORES = (DotAttention, ScaledDotAttention, GeneralAttention, AdditiveAttention)
# Place, where `*` is a number → the exact class there.
PLACES: dict[str, type] = {
    "": Seq2Seq,
    "encoder": Encoder,
    "decoder": Decoder,
    "decoder.attention": DotAttention,
    "decoder.attention.combine": nn.Linear,
    "decoder.output": nn.Linear,
    "decoder.output_dropout": Dropout,
    **{
        f"{part}.{place}": kind
        for part in ("encoder", "decoder")
        for place, kind in {
            "embedding": nn.Embedding,
            "dropout": Dropout,
            "rnn": RNN,
            "rnn.layers": nn.ModuleList,
            "rnn.layers.*": nn.GRU,
            "rnn.dropouts": nn.ModuleList,
            "rnn.dropouts.*": Dropout,
        }.items()
    },
}
# Further ones, where a layer is replaced and the rest of the model is only copied.
MORE_PLACES: dict[str, tuple[type, ...]] = {
    "decoder.attention": SCORES,
    "encoder.rnn.layers.*": (nn.LSTM,),
    "decoder.rnn.layers.*": (nn.LSTM,),
    "encoder.bridge": (Bridge,),
    "encoder.bridge.linears": (nn.ModuleList,),
    "encoder.bridge.linears.*": (nn.Linear,),
    **{f"decoder.attention.{name}": (nn.Linear,) for name in ("project", "of_state", "of_output", "vector")},
}
# Exact class → the attributes that it may have beside its parameters and modules.
ATTRIBUTES: dict[type, Iterable[str]] = {
    Seq2Seq: (),
    Bridge: (),
    Encoder: ("bridge", "unmasked_positions"),
    Decoder: ("attention", "embedding_relu", "input_feeding"),
    **dict.fromkeys(SCORES, ()),
    RNN: ("hidden_size",),
    Dropout: ("p", "site"),
    nn.ModuleList: (),
    nn.GRU: vars(nn.GRU(1, 1)),
    nn.LSTM: vars(nn.LSTM(1, 1)),
    nn.Embedding: vars(nn.Embedding(1, 1)),
    nn.Linear: vars(nn.Linear(1, 1)),
}
_OF_EVERY_MODULE = frozenset(vars(nn.Module()))
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_GLOBAL_HOOKS = tuple(f"_global{name}" for name in _HOOKS)
_STEP_HOOKS = ("_global_optimizer_pre_hooks", "_global_optimizer_post_hooks")


def unsupported(job: Job, feeders: Collection[type]) -> str | None:
    """The first part of a job that is not on the lists of supported classes and settings; None if there is none.

    Args:
        job: what is to be trained, and how.
        feeders: the exact classes that its plan may feed by.
    """
    return (
        unknown_module(job.model)
        or unknown_setting(job.model)
        or unknown_optimizer(job.optimizer, job.model)
        or unknown_objective(job.objective)
        or unknown_target(job.target)
        or unknown_plan(job.plan, feeders)
    )


def unknown_plan(plan: Plan, feeders: Collection[type]) -> str | None:
    """The reason why a plan has several passes or a feeder that is not of these exact classes; None if not."""
    if plan.passes or plan.revise is not None:
        return "the forcing policy needs an earlier pass"
    known = type(plan.feeder) in feeders
    return None if known else f"the feeder {type(plan.feeder).__name__} is not supported"


def unknown_target(target: Target) -> str | None:
    """Why a target is not the gold word; None where it is."""
    return None if type(target) is Gold else f"the target is {type(target).__name__}, not Gold"


def unknown_objective(objective: Objective, *, smoothing: bool = False) -> str | None:
    """Why an objective is not the plain negative log-likelihood; None where it is.

    Args:
        objective: what is minimised.
        smoothing: whether label smoothing is supported.
    """
    if type(objective) is not NegativeLogLikelihood:
        return f"the objective is {type(objective).__name__}, not NegativeLogLikelihood"
    if vars(objective).keys() != {"label_smoothing"}:
        return "the objective has an unsupported attribute"
    return "the objective uses label smoothing" if objective.label_smoothing and not smoothing else None


def unknown_layers(model: nn.Module) -> str | None:
    """Why the recurrent layers of a model cannot be replaced by others with the same parameters; None if they can."""
    if reason := _unknown_class(model, MORE_PLACES):
        return reason
    layers = [each for each in model.modules() if isinstance(each, nn.RNNBase)]
    if len({type(each) for each in layers}) > 1:
        return "the recurrent layers are of several classes"
    known = all(_is_one_layer(each) and each.proj_size == 0 for each in layers)
    return None if known else "a recurrent layer has no bias, or has several layers, dropout or projections"


def unknown_module(model: nn.Module) -> str | None:
    """The first part of a model that is not on the lists, in a few words; None if everything is on them."""
    return _unknown_class(model, {}) or _unknown_parameter(model)


def _unknown_class(model: nn.Module, more: Mapping[str, tuple[type, ...]]) -> str | None:
    for path, module in model.named_modules():
        place = ".".join("*" if part.isdecimal() else part for part in path.split("."))
        name = f"{path or 'the model'} ({type(module).__name__})"
        if type(module) not in (PLACES.get(place), *more.get(place, ())):
            return f"{name} is of an unsupported class"
        if extra := set(vars(module)) - _OF_EVERY_MODULE - set(ATTRIBUTES[type(module)]):
            return f"{name} has an unsupported attribute: {sorted(extra)[0]}"
        if any(vars(module)[hooks] for hooks in _HOOKS):
            return f"{name} has a hook"
    if len({module.training for module in model.modules()}) > 1:
        return "some modules are in training mode and some are not"
    if any(getattr(nn_module, hooks) for hooks in _GLOBAL_HOOKS):
        return "there is a hook on all modules"
    return None


def _unknown_parameter(model: nn.Module) -> str | None:
    parameters = dict(model.named_parameters(remove_duplicate=False))
    for name, parameter in parameters.items():
        if type(parameter) is not nn.Parameter or not parameter.is_contiguous():
            return f"{name} is not a plain contiguous parameter"
        if parameter._backward_hooks or getattr(parameter, "_post_accumulate_grad_hooks", None):
            return f"{name} has a hook"
        if not parameter.requires_grad:
            return f"{name} is frozen"
    ranges = sorted((each.data_ptr(), each.data_ptr() + each.nbytes) for each in parameters.values())
    if any(after[0] < before[1] for before, after in pairwise(ranges)):
        return "parameters share memory"
    dtypes = {parameter.dtype for parameter in parameters.values()}
    known = dtypes in ({torch.float32}, {torch.float64})
    return None if known else "the parameters are not all float32, nor all float64"


def unknown_setting(model: nn.Module) -> str | None:
    """The first setting of a model of known modules that is not supported; None if there is none."""
    assert isinstance(model, Seq2Seq)
    encoder, decoder = model.encoder, model.decoder
    if len(encoder.rnn.layers) != len(decoder.rnn.layers):
        return "encoder and decoder have different numbers of layers"
    if decoder.input_feeding:
        return "the decoder has input feeding"
    if not decoder.embedding_relu:
        return "no ReLU follows the decoder's embedding"
    if decoder.output_dropout.p:
        return "there is dropout before the output layer"
    if decoder.output.out_features != decoder.embedding.num_embeddings:
        return "the output layer has not one row for each word of the embedding"
    for module in model.modules():
        if isinstance(module, nn.GRU) and not _is_plain(module):
            return "a GRU is bidirectional, has no bias, or has several layers or dropout"
        if isinstance(module, nn.Linear) and "bias" not in dict(module.named_parameters()):
            return "a linear layer has no bias"
        if isinstance(module, nn.Embedding) and (
            module.max_norm is not None
            or module.scale_grad_by_freq
            or module.sparse
            or module.padding_idx is not None
        ):
            return "an embedding has unsupported settings"
    return None


def _is_plain(gru: nn.GRU) -> bool:
    return _is_one_layer(gru) and not gru.bidirectional


def _is_one_layer(layer: nn.RNNBase) -> bool:
    return layer.num_layers == 1 and layer.bias and not layer.dropout and layer.batch_first


def unknown_step(optimizer: Optimizer) -> str | None:
    """Why PyTorch has no fused step on the CPU for an optimizer; None if it has one, for dense gradients."""
    if type(optimizer) not in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW):
        return f"the optimizer is {type(optimizer).__name__}"
    for name in ("fused", "foreach", "capturable", "differentiable"):
        if any(group.get(name) for group in optimizer.param_groups):
            return f"the optimizer has {name}=True"
    return None


def unknown_optimizer(optimizer: Optimizer, model: nn.Module) -> str | None:
    """The reason why an optimizer is not plain SGD over all parameters of a model; None if it is."""
    if type(optimizer) is not torch.optim.SGD:
        return f"the optimizer is {type(optimizer).__name__}, not torch.optim.SGD"
    if len(optimizer.param_groups) != 1:
        return "the optimizer has several parameter groups"
    group = optimizer.param_groups[0]
    for name in ("momentum", "weight_decay", "dampening", "nesterov", "maximize", "differentiable"):
        if group[name]:
            return f"the optimizer has {name}={group[name]}"
    if {id(each) for each in group["params"]} != {id(each) for each in model.parameters()}:
        return "the optimizer does not update all parameters of the model"
    own_step = vars(optimizer).get("step")
    if own_step is not None and not hasattr(own_step, "_wrapped_by_lr_sched"):
        return "the step of the optimizer is replaced"
    hooks = (optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks)
    everywhere = (getattr(torch_optimizer, name) for name in _STEP_HOOKS)
    return "the optimizer has a hook" if any(hooks) or any(everywhere) else None
