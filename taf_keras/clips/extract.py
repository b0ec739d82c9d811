"""The name of `python -m taf_keras.extract` before version 0.2."""

from taf_keras.extract import main

if __name__ == "__main__":
    main()
