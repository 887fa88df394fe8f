"""The files of the tree, by their paths from its root."""

import functools
import os

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def path_of(name):
    return os.path.join(ROOT, name)


@functools.cache
def read(name):
    with open(path_of(name), encoding="utf-8") as text:
        return text.read()
