"""The name of `python -m taf_keras.sweep` before version 0.2."""

from taf_keras.sweep import main

if __name__ == "__main__":
    main()
