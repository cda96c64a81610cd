"""Gradients in factors: the same updates as with whole gradients."""

import copy
from functools import partial

import pytest
import torch
from seq2seq_lab.accelerate.factors import factors_of, write_out_factors
from seq2seq_lab.accelerate.optimizers import SGD
from seq2seq_lab.training.loss import losses_and_error

from seq2seq_lab.models import attention_model


def pairs(batch, count=5):
    draw = torch.Generator().manual_seed(0)
    for _ in range(count):
        yield (
            torch.randint(1, 9, (batch, 4), generator=draw),
            torch.randint(1, 11, (batch, 6), generator=draw),
        )


@pytest.fixture
def model():
    torch.manual_seed(0)
    sizes = {"source_vocabulary_size": 9, "target_vocabulary_size": 11, "hidden_size": 8, "embedding_size": 5}
    return attention_model(**sizes, layers=2).double()


def backpropagate(model, source, target):
    loss = partial(losses_and_error, target=target, target_lengths=None)
    model.backpropagate(source, target, loss=loss)


def learn(model, optimizer, batch, between=lambda parameters: None):
    for source, target in pairs(batch):
        optimizer.zero_grad()
        backpropagate(model, source, target)
        between(list(model.parameters()))
        optimizer.step()


def assert_same_weights(one, other):
    for name, weight in one.named_parameters():
        torch.testing.assert_close(weight, other.get_parameter(name), msg=name)


@pytest.mark.parametrize("batch", [1, 3])
class TestSGD:
    def test_it_is_torchs(self, model, batch):
        other = copy.deepcopy(model)
        learn(model, SGD(model.parameters(), lr=0.3), batch)
        learn(other, torch.optim.SGD(other.parameters(), lr=0.3), batch)
        assert_same_weights(model, other)

    def test_no_gradient_is_written_out(self, model, batch):
        optimizer = SGD(model.parameters(), lr=0.3)

        def look(parameters):
            assert all(parameter.grad is None for parameter in parameters)
            assert all(factors_of(parameter) for parameter in parameters)

        learn(model, optimizer, batch, between=look)
        assert not any(factors_of(parameter) for parameter in model.parameters())

    def test_written_out_they_are_the_dense_gradients_and_can_be_clipped(self, model, batch):
        def clip(parameters):
            write_out_factors(parameters)
            torch.nn.utils.clip_grad_norm_(parameters, 0.1)

        other = copy.deepcopy(model)
        learn(model, SGD(model.parameters(), lr=0.3), batch, between=clip)
        learn(other, torch.optim.SGD(other.parameters(), lr=0.3), batch, between=clip)
        assert_same_weights(model, other)

    def test_losses_of_several_backward_passes_add_up(self, model, batch):
        other = copy.deepcopy(model)
        for one, kind in ((model, SGD), (other, torch.optim.SGD)):
            optimizer = kind(one.parameters(), lr=0.3)
            for source, target in pairs(batch):
                backpropagate(one, source, target)
            optimizer.step()
        assert_same_weights(model, other)

    def test_a_frozen_parameter_stays(self, model, batch):
        frozen = model.decoder.gru.weight_hh_l0.requires_grad_(False)
        before = frozen.clone()
        learn(model, SGD(model.parameters(), lr=0.3), batch)
        assert torch.equal(frozen, before)

    def test_forgotten_gradients_are_not_applied(self, model, batch):
        optimizer = SGD(model.parameters(), lr=0.3)
        before = [parameter.clone() for parameter in model.parameters()]
        for source, target in pairs(batch):
            backpropagate(model, source, target)
        optimizer.zero_grad()
        optimizer.step()
        assert all(map(torch.equal, before, model.parameters()))


@pytest.mark.parametrize("lr", [0, -1.0])
def test_a_learning_rate_that_is_not_positive_is_refused(lr, model):
    with pytest.raises(ValueError, match="lr must be positive"):
        SGD(model.parameters(), lr=lr)


def test_a_closure_is_called(model):
    optimizer = SGD(model.parameters(), lr=0.1)
    assert optimizer.step(lambda: 3.0) == 3.0


def test_the_learning_rate_of_a_group_can_change(model):
    other = copy.deepcopy(model)
    for one, kind in ((model, SGD), (other, torch.optim.SGD)):
        optimizer = kind(one.parameters(), lr=0.3)
        optimizer.param_groups[0]["lr"] = 0.05
        learn(one, optimizer, batch=2)
    assert_same_weights(model, other)
