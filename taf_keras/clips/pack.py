"""The name of `python -m taf_keras.pack` before version 0.2."""

from taf_keras.pack import main

if __name__ == "__main__":
    main()
