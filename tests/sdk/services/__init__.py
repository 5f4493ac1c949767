# SPDX-License-Identifier: Apache-2.0
"""Token services of three clouds that check what they are given, and what their tokens open. tests/sdk/README.md."""
