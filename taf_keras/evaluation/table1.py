"""The name of `python -m taf_keras.table1` before version 0.2."""

from taf_keras.table1 import main

if __name__ == "__main__":
    main()
