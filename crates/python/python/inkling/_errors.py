"""The exceptions of the package."""


class InklingError(Exception):
    """What Inkling could not do, in the words of the command line: what was found, expected, and a hint."""


class InputError(InklingError, ValueError):
    """An array, number or setting is not what is expected."""


class FileError(InklingError, OSError):
    """A file or folder cannot be read or written."""


for _error in (InklingError, InputError, FileError):
    _error.__module__ = "inkling"
