"""Every layer kind and block against what outputs alone say: python -m tests.support.completeness [NAME ...].

Prints what was found of what there is, and what was missed, of those whose names hold one of the words given. All take
a few minutes; a sample is among the tests (tests/symmetry/checking/test_completeness.py).
"""

from __future__ import annotations

import argparse
import time

import torch

from landscape_cli.symmetry.checking.completeness import check_completeness
from landscape_cli.symmetry.checking.words import completeness_lines
from tests.support.blocks import BLOCKS
from tests.support.layers import NETS
from tests.support.symmetry_checks import make_net


def main() -> None:
    """Check them one by one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="words of names [all]")
    options = parser.parse_args()
    torch.set_num_threads(1)
    complete = count = 0
    for name, (make, shape) in ({name: (known.make, known.shape) for name, known in NETS.items()} | BLOCKS).items():
        if options.names and not any(word in name for word in options.names):
            continue
        torch.manual_seed(0)
        net = make_net(make(), shape)
        start = time.process_time()
        generator = torch.Generator().manual_seed(0)
        checked = check_completeness(net.model, net.params, net.symmetry, generator=generator)
        lines = completeness_lines(checked)
        print(f"{name}: {lines[0]} ({time.process_time() - start:.1f} s)", *lines[1:], sep="\n    ", flush=True)
        count, complete = count + 1, complete + checked.is_complete
    print(f"{complete} of {count} complete")


if __name__ == "__main__":
    main()
