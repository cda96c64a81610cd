"""What every test runs under."""

import torch
from threadpoolctl import threadpool_limits

# Tests are many small products: more threads than one only get in each other's way.
torch.set_num_threads(1)
threadpool_limits(1, user_api="blas")
