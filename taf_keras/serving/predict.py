"""The name of `python -m taf_keras.predict` before version 0.2."""

from taf_keras.predict import main

if __name__ == "__main__":
    main()
