# How everything that is shipped is compiled: `sam build` runs the Makefiles that include this with ARTIFACTS_DIR.

include $(subst $() ,\ ,$(PROJECT))/requirements/environment.mk

# Names of folders reach the shell as variables: they can have spaces.
export PROJECT
# A Python 3.13 with pip.  `make build` names one.
export BUILD_PYTHON ?= python3.13
# The project's own folder has the lock and says which Python is meant.
IN_PROJECT := cd "$$PROJECT" && "$$BUILD_PYTHON"

# Lambda's file system is read-only: without bytecode every cold start compiles everything.  Files in the ZIP are of 1980,
# so bytecode must not depend on their time.  It names files as they are called in Lambda, and sets are written in one
# order, so that two builds give the same bytes.
# $(1): a folder, quoted; $(2): where it is in Lambda
compile = cd "$$PROJECT" && PYTHONHASHSEED=0 "$$BUILD_PYTHON" -m compileall -q -f --invalidation-mode unchecked-hash -s $(1) -p $(2) $(1)
