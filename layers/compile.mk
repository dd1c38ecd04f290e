# How shipped code is compiled.  The Makefiles that `sam build` runs include this file; SAM sets ARTIFACTS_DIR for them.

include $(subst $() ,\ ,$(PROJECT))/requirements/environment.mk

# The shell gets names of folders as variables, because they can have spaces.
export PROJECT
# A Python 3.13 with pip.  `make build` sets it.
export BUILD_PYTHON ?= python3.13
# Commands run in the project's folder, because the lock is there, and because a folder can choose its Python, as with pyenv.
IN_PROJECT := cd "$$PROJECT" && "$$BUILD_PYTHON"

# Lambda's file system is read-only, so without bytecode each cold start would compile everything again.  The bytecode does not
# depend on the files' times, because in the ZIP all files are of 1980.  Two builds give the same bytes: the bytecode has the
# files' names in Lambda, and PYTHONHASHSEED fixes the order of sets.
# $(1): a folder, quoted; $(2): where it is in Lambda
compile = cd "$$PROJECT" && PYTHONHASHSEED=0 "$$BUILD_PYTHON" -m compileall -q -f --invalidation-mode unchecked-hash -s $(1) -p $(2) $(1)
