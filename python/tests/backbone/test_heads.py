from __future__ import annotations

import pytest
import torch

from espalier_runtime.backbone.heads import Head, balanced, pool
from espalier_runtime.backbone.layout import Padded


def test_pooling_reads_the_masks_tokens_only() -> None:
    states, layout = torch.tensor([[[1.0], [3.0], [100.0]]]), Padded(torch.tensor([[1, 1, 0]]))
    assert pool(states, layout, "mean").tolist() == [[2.0]]
    assert pool(states, layout, "first").tolist() == [[1.0]]
    assert pool(states, layout, "last").tolist() == [[3.0]]


def test_a_fresh_head_gives_every_class_the_same_chance() -> None:
    assert Head(4, 3)(torch.randn(2, 4)).unique().tolist() == [0.0]


@pytest.mark.parametrize("classes", [2, 3])
def test_a_probe_separates_what_is_separable(classes: int) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(90) % classes
    features = torch.nn.functional.one_hot(labels, classes).float() @ torch.randn(classes, 6, generator=generator) * 5
    head = Head(6, classes)
    head.start_from_probe(features + 0.1 * torch.randn(90, 6, generator=generator), labels, "classification")
    assert torch.equal(head(features).argmax(1), labels)


def test_a_binary_probe_has_scikit_learns_probabilities() -> None:
    from sklearn.linear_model import LogisticRegression

    generator = torch.Generator().manual_seed(0)
    features, labels = torch.randn(50, 4, generator=generator), torch.arange(50) % 2
    head = Head(4, 2)
    head.start_from_probe(features, labels, "classification")
    expected = LogisticRegression(max_iter=1000).fit(features.double().numpy(), labels.numpy()).predict_proba(features)
    torch.testing.assert_close(
        head(features).softmax(1).double(), torch.tensor(expected, dtype=torch.double), atol=1e-5, rtol=1e-4
    )


def test_a_regression_probe_predicts_in_standard_deviations() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(200, 3, generator=generator)
    labels = features @ torch.tensor([1.0, -2.0, 0.5]) * 10 + 100
    head = Head(3, 1, float(labels.mean()), float(labels.std()))
    head.start_from_probe(features, labels, "regression")
    predicted = head(features).squeeze(1) * head.scale + head.location
    torch.testing.assert_close(predicted, labels, atol=0.5, rtol=0.02)


def test_balanced_weights_give_every_class_the_same_say() -> None:
    labels = torch.tensor([0, 0, 0, 1, 3, 3])
    weights = balanced(labels, 4)
    assert weights.tolist() == pytest.approx([2 / 3, 2.0, 0.0, 1.0])
    assert float(weights[labels].sum()) == pytest.approx(len(labels))


def test_losses_weigh_classes_and_smooth_labels() -> None:
    outputs = torch.tensor([[1.0, 0.0, -1.0], [0.5, 0.5, 0.0]])
    labels = torch.tensor([0.0, 2.0], dtype=torch.float64)
    log_p = outputs.log_softmax(1)
    plain = Head(4, 3)
    torch.testing.assert_close(plain.losses(outputs, labels), -log_p[[0, 1], [0, 2]])
    weighed = Head(4, 3, class_weights=torch.tensor([2.0, 1.0, 0.5]))
    torch.testing.assert_close(weighed.losses(outputs, labels), -log_p[[0, 1], [0, 2]] * torch.tensor([2.0, 0.5]))
    smooth = Head(4, 3, label_smoothing=0.3)
    expected = -(0.7 * log_p[[0, 1], [0, 2]] + 0.1 * log_p.sum(1))
    torch.testing.assert_close(smooth.losses(outputs, labels), expected)


def test_the_shape_of_the_loss_is_not_saved_with_the_head() -> None:
    weighed = Head(4, 3, class_weights=torch.ones(3), label_smoothing=0.1)
    assert weighed.state_dict().keys() == Head(4, 3).state_dict().keys()


def test_a_head_that_mixes_layers_reads_their_weighted_sum() -> None:
    head = Head(4, 2, layers=3)
    states = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(head.mixed(states), states.mean(1))
    assert head.depth is not None
    with torch.no_grad():
        # softmax(10 v) of 10 v = (0, ln 2, ln 5)
        head.depth.copy_(torch.tensor([1.0, 2.0, 5.0]).log() / 10)
    shares = head.layer_shares()
    assert shares is not None
    torch.testing.assert_close(shares, torch.tensor([1.0, 2.0, 5.0]) / 8)
    torch.testing.assert_close(head.mixed(states), (states[:, 0] + 2 * states[:, 1] + 5 * states[:, 2]) / 8)


def test_a_head_of_one_layer_has_no_shares_and_leaves_states_as_they_are() -> None:
    head, states = Head(4, 2), torch.randn(5, 4)
    assert head.layer_shares() is None
    assert head.mixed(states) is states
    assert "depth" not in head.state_dict()


def test_a_probe_of_a_head_that_mixes_layers_is_fitted_on_their_mean() -> None:
    generator = torch.Generator().manual_seed(0)
    states, labels = torch.randn(40, 3, 4, generator=generator), torch.arange(40) % 2
    mixing, plain = Head(4, 2, layers=3), Head(4, 2)
    mixing.start_from_probe(states, labels, "classification")
    plain.start_from_probe(states.mean(1), labels, "classification")
    torch.testing.assert_close(mixing.linear.weight, plain.linear.weight, rtol=1e-4, atol=1e-5)


def test_a_probe_of_rows_that_lack_classes_knows_the_others_and_holds_these_unlikely() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([1, 3] * 20)
    features = torch.nn.functional.one_hot(labels, 6).float() + 0.1 * torch.randn(40, 6, generator=generator)
    head = Head(6, 5)
    head.start_from_probe(features, labels, "classification")
    with torch.no_grad():
        logits = head(features)
    assert logits.argmax(1).tolist() == labels.tolist()
    assert bool((logits.softmax(1)[:, [0, 2, 4]] < 1 / 20).all())
    same = Head(6, 5)
    same.start_from_probe(features[labels == 1], labels[labels == 1], "classification")
    assert not same.linear.weight.any()
