# What configure tells at its end: what is in, what is not, and why.

# CT_NOTE(NAME, TEXT)
AC_DEFUN([CT_NOTE], [AS_VAR_APPEND([ct_notes], ["
    $1: $2"])])

AC_DEFUN([CT_REPORT], [
  AC_MSG_NOTICE([$PACKAGE_NAME $PACKAGE_VERSION, compiled by $CC
$ct_notes
])
])
