"""What the policies draw."""

import pytest
import torch

from seq2seq_lab.forcing.plan import FullForcing, MixedForcing


def draw(policy, batch_size=1000, length=5, seed=0):
    return policy(batch_size, length, 0.0, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("policy", [FullForcing(), MixedForcing(ratio=0.3)])
def test_a_mask_is_boolean_and_of_the_shape_asked_for(policy):
    mask = draw(policy, batch_size=3, length=4)
    assert mask.dtype == torch.bool
    assert mask.shape == (3, 4)


def test_full_forces_everywhere():
    assert draw(FullForcing()).all()


class TestMixed:
    @pytest.mark.parametrize("ratio", [0.0, 0.25, 0.5, 1.0])
    def test_the_share_of_forced_sentences_is_the_ratio(self, ratio):
        share = draw(MixedForcing(ratio=ratio), batch_size=20_000).float().mean().item()
        assert share == pytest.approx(ratio, abs=0.015)
        assert ratio not in (0.0, 1.0) or share == ratio

    def test_a_sentence_is_forced_throughout_or_not_at_all(self):
        mask = draw(MixedForcing(ratio=0.5))
        assert torch.equal(mask, mask[:, :1].expand_as(mask))

    def test_the_generator_alone_decides(self):
        policy = MixedForcing(ratio=0.5)
        assert torch.equal(draw(policy, seed=1), draw(policy, seed=1))
        assert not torch.equal(draw(policy, seed=1), draw(policy, seed=2))

    def test_batches_draw_the_coins_of_single_sentences(self):
        policy, generator = MixedForcing(ratio=0.5), torch.Generator().manual_seed(4)
        alone = torch.cat([policy(1, 3, 0.0, generator) for _ in range(50)])
        assert torch.equal(alone, draw(policy, batch_size=50, length=3, seed=4))

    @pytest.mark.parametrize("ratio", [-0.1, 1.1, float("nan")])
    def test_a_ratio_out_of_range_is_refused(self, ratio):
        with pytest.raises(ValueError, match="ratio must lie in"):
            MixedForcing(ratio=ratio)
