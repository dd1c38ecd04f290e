# A function: its app.py with bytecode, and the data beside it.

include $(subst $() ,\ ,$(PROJECT))/layers/compile.mk

build-%Function:
	cp app.py $(wildcard *.json) "$$ARTIFACTS_DIR/"
	$(call compile,"$$ARTIFACTS_DIR",/var/task)
