"""The name of `python -m taf_keras.local_cluster` before version 0.2."""

from taf_keras.local_cluster import main

if __name__ == "__main__":
    main()
