# Check: without it `make check` has no unit tests.
AC_DEFUN([CT_CHECK], [
  CT_OPTIONAL([check], [CHECK], [check >= 0.10], [unit tests])
  AM_CONDITIONAL([HAVE_CHECK], [test $ct_have_check = yes])
])
