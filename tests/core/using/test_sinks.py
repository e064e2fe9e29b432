"""Sinks are found by the length of their stream."""

import torch

from app.core.using.sinks import LONG, find_sinks


def test_a_position_that_is_long_at_one_point_is_a_sink():
    streams = torch.ones(3, 9, 4)
    streams[1, 5] *= 2 * LONG
    streams[2] *= 100  # all positions are longer at a later point
    streams[2, 7] *= 0.9 * LONG
    assert find_sinks(streams).nonzero().flatten().tolist() == [5]
