#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Go SDKs, unmodified, with what svidd gives them: aws-sdk-go-v2, oauth2/google, cloud.google.com/go/auth, azidentity."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig  # noqa: E402,F401  pylint: disable=wrong-import-position,unused-import
import case  # noqa: E402  pylint: disable=wrong-import-position
import language_cases  # noqa: E402  pylint: disable=wrong-import-position
import languages  # noqa: E402  pylint: disable=wrong-import-position

language_cases.register(languages.Go(), globals())

if __name__ == "__main__":
    case.main(globals())
