"""The name of `python -m taf_keras.check` before version 0.2."""

from taf_keras.check import main

if __name__ == "__main__":
    main()
