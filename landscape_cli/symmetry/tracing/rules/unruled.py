"""Operators without a rule, of which something else is known: what they refuse, fill or contract."""

from __future__ import annotations

from landscape_cli.symmetry.tracing.operators import register

# Random numbers: outputs would be no function of the input.
register("rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like", draws=True)
register("bernoulli", "exponential", "geometric", "log_normal", "multinomial", "normal", "poisson", draws=True)
register("random", "uniform", "native_dropout", draws=True)

# The run has no values.
register("_local_scalar_dense", "item", "is_nonzero", "equal", "nonzero", "masked_select", "bincount", reads=True)
register("_unique", "_unique2", "unique_dim", "unique_consecutive", "unique_dim_consecutive", reads=True)

# New tensors of one number; what nobody has written yet is taken for 0.
register("zeros_like", "new_zeros", "empty_like", "new_empty", "new_empty_strided", fills=0)
register("ones_like", "new_ones", fills=1)
register("full_like", "new_full", fills="argument")
register("lift_fresh_copy", creates=True)

# Products.
register("addbmm", contracts={1: None, 2: None})
register("addmv", contracts={1: (-1, -2), 2: None})
register("_convolution", contracts={0: None, 1: (1, 0)})
