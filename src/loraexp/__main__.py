"""python -m loraexp"""

from loraexp.cli import main

if __name__ == "__main__":
    main()
