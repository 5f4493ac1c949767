#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Java SDKs, unmodified from Maven, with what svidd gives them: software.amazon.awssdk, google-auth-library, azure-identity."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig  # noqa: E402,F401  pylint: disable=wrong-import-position,unused-import
import case  # noqa: E402  pylint: disable=wrong-import-position
import language_cases  # noqa: E402  pylint: disable=wrong-import-position
import languages  # noqa: E402  pylint: disable=wrong-import-position

language_cases.register(languages.Java(), globals())

if __name__ == "__main__":
    case.main(globals())
