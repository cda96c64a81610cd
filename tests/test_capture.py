"""What can be shown of captured updates without a GPU."""

import copy
from functools import partial

import pytest
import torch
from seq2seq_lab.accelerate.optimizers import SGD

from seq2seq_lab.accelerate import cuda_graphs as capture
from seq2seq_lab.data.batches import Batch
from seq2seq_lab.forcing.plan import FullForcing
from seq2seq_lab.models import attention_model
from seq2seq_lab.training.module import TranslationModule

CPU = torch.device("cpu")


def module_of(model, optimizer=None):
    optimizer = optimizer or partial(SGD, lr=0.3)
    return TranslationModule(
        model=model, forcing=FullForcing(), optimizer=optimizer, to_text=str, max_length=8, references=[]
    )


@pytest.fixture(params=[None, 8])
def model(request):
    torch.manual_seed(0)
    sizes = {"source_vocabulary_size": 9, "target_vocabulary_size": 11, "hidden_size": 8, "embedding_size": 5}
    return attention_model(**sizes, unmasked_positions=request.param).double()


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("pairs", [1, 3])
def test_an_update_in_buffers_is_the_update(model, pairs, free):
    draw = torch.Generator().manual_seed(0)
    other = copy.deepcopy(model)
    modules = module_of(model), module_of(other)
    optimizers = [module.configure_optimizers() for module in modules]
    buffers = capture.Buffers(pairs, 8, 8, CPU)
    for s, t in ((5, 6), (3, 8), (7, 4)):
        source = torch.randint(1, 9, (pairs, s), generator=draw)
        target = torch.randint(1, 11, (pairs, t), generator=draw)
        lengths = (
            None if pairs == 1 else torch.tensor([s, 1, 2]),
            None if pairs == 1 else torch.tensor([2, t, 3]),
        )
        batch = Batch(source, lengths[0], target, lengths[1], slice(0, pairs))
        forced = torch.rand(pairs, t, generator=draw) < 0.5 if free else None
        buffers.fill(batch, forced)
        losses = modules[0].update(batch, forced, optimizers[0])
        padded = modules[1].update(buffers.batch, buffers.forced if free else None, optimizers[1])
        torch.testing.assert_close(padded, losses)
    for name, weight in model.named_parameters():
        torch.testing.assert_close(weight, other.get_parameter(name), msg=name)


@pytest.mark.parametrize("optimizer", [SGD, torch.optim.Adam])
def test_a_warm_up_leaves_no_trace(model, optimizer):
    module = module_of(model, partial(optimizer, lr=0.1))
    chosen = module.configure_optimizers()
    buffers = capture.Buffers(2, 8, 8, CPU)
    buffers.fill(Batch(torch.ones(2, 3).long(), None, torch.ones(2, 4).long(), None, slice(0, 2)), None)
    results = []
    for _ in range(3):
        before = capture.snapshot(chosen)
        results.append(module.update(buffers.batch, None, chosen))
        assert not all(
            torch.equal(value, before[name]) for name, value in capture._tensors(chosen) if name in before
        )
        capture.restore(chosen, before)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])
    for parameter in model.parameters():
        assert all(not value.any() for value in chosen.state[parameter].values())


def test_updates_are_eager_on_a_cpu_and_for_optimizers_that_look_at_values(model):
    parameters = list(model.parameters())
    gpu = torch.device("cuda")
    assert not capture.possible(SGD(parameters, lr=0.1), CPU)
    assert capture.possible(SGD(parameters, lr=0.1), gpu)
    assert not capture.possible(torch.optim.Adam(parameters), gpu)
    assert capture.possible(torch.optim.Adam(parameters, capturable=True), gpu)
    assert not capture.possible(torch.optim.NAdam(parameters, capturable=True), gpu)  # starts from ones
    module = module_of(model)
    assert module._updates(module.configure_optimizers()).func == module.update
    assert module.captured is None
