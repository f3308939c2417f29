# libfabric. Looked for only: nothing is built with it yet, and ctrun itself
# never links it (its constructors take 0.2 s).
AC_DEFUN([CT_FABRIC], [
  CT_OPTIONAL([fabric], [FABRIC], [libfabric], [fabric probe (not used yet)])
])
