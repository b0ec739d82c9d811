"""The name of `python -m taf_keras.report` before version 0.2."""

from taf_keras.report.__main__ import main

if __name__ == "__main__":
    main()
