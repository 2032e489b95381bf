from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.latent.item_scenes import last_of, make_images, make_scene, returned_by
from vae_explorer.errors import UserError
from vae_explorer.latent.code_values import complete_values
from vae_explorer.latent.group_statistics import group_statistics
from vae_explorer.models.snapshot import Snapshot

MakeSnapshot = Callable[..., Snapshot]


def test_a_group_is_summed_up_as_by_hand(make_snapshot: MakeSnapshot) -> None:
    dataset = make_images()
    scene = make_scene(make_snapshot(), dataset=dataset)
    ids = np.array([7, 3, 3, 450, 11])
    found = last_of(group_statistics(scene, ids))
    members = np.array([3, 7, 11, 450])
    pictures = dataset.images.images_NCHW.numpy()[members, 0]
    codes = scene.codes()
    assert codes is not None
    assert found.num == 4
    assert found.shown_ids_G.tolist() == members.tolist()
    assert np.array_equal(found.pictures, pictures)
    assert np.allclose(found.mean_code_D, codes[members].mean(axis=0), atol=1e-6)
    assert np.array_equal(found.decoded_mean, scene.decode(found.mean_code_D[None])[0])
    assert np.abs(found.mean_picture - pictures.mean(axis=0)).max() <= 0.5
    deviation = (pictures / 255.0).std(axis=0)
    assert found.greatest_deviation == pytest.approx(deviation.max(), rel=1e-5)
    assert np.abs(found.variance_picture - 255 * deviation**2 / deviation.max() ** 2).max() <= 0.51
    assert found.class_names == ("a", "b", "c")
    assert found.class_counts == tuple(np.bincount(members % 3, minlength=3).tolist())
    assert (found.mean_elbo, found.num_valued) == (None, 0)
    elbo_N = returned_by(complete_values(scene, "elbo"))
    found = last_of(group_statistics(scene, ids))
    assert found.mean_elbo == pytest.approx(float(elbo_N[members].mean()), rel=1e-5)
    assert found.num_valued == 4
    # Pixels in [0, 1] have a log-likelihood below zero under Bernoulli: the ELBO lies below minus the KL.
    assert found.mean_elbo < -float(scene.posterior(scene.seen(members)).kl().mean())


def test_of_many_members_two_hundred_are_shown_from_end_to_end(make_snapshot: MakeSnapshot) -> None:
    scene = make_scene(make_snapshot(image_shape=(3, 8, 8)), dataset=make_images(image_shape=(3, 8, 8)))
    found = last_of(group_statistics(scene, np.arange(500)))
    assert len(found.shown_ids_G) == 200
    assert found.shown_ids_G[[0, -1]].tolist() == [0, 499]
    assert found.pictures.shape == (200, 8, 8, 3)
    assert found.mean_picture.shape == found.variance_picture.shape == found.decoded_mean.shape == (8, 8, 3)


def test_one_member_varies_nowhere_and_a_code_that_is_not_finite_counts_nowhere(make_snapshot: MakeSnapshot) -> None:
    codes = np.zeros((500, 2))
    codes[5] = np.nan
    scene = make_scene(make_snapshot(), codes, make_images(has_labels=False))
    found = last_of(group_statistics(scene, np.array([5])))
    assert found.greatest_deviation == 0.0
    assert not found.variance_picture.any()
    assert found.mean_code_D is None
    assert found.decoded_mean is None
    assert found.class_counts == ()
    assert last_of(group_statistics(scene, np.array([5, 6]))).mean_code_D.tolist() == [0.0, 0.0]


def test_groups_that_cannot_be_summed_up_say_so(make_snapshot: MakeSnapshot) -> None:
    scene = make_scene(make_snapshot(), dataset=make_images())
    with pytest.raises(UserError, match="empty"):
        list(group_statistics(scene, np.zeros(0, dtype=np.int64)))
    with pytest.raises(UserError, match="does not have"):
        list(group_statistics(scene, np.array([500])))
    with pytest.raises(UserError, match="not loaded"):
        list(group_statistics(make_scene(make_snapshot()), np.array([0])))
