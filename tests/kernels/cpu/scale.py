"""A kernel that needs no import, for processes that are to run it from disk."""

SIGNATURE = ("float32*", "float32*")


def make_scale(factor):
    def kernel(first, last, x, y):
        for i in range(first, last):
            y[i] = x[i] * factor

    return kernel
