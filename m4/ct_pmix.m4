# OpenPMIx: the server of PMIx guests. Before 4.0 it could not serve newer clients.
AC_DEFUN([CT_PMIX], [
  CT_REQUIRED([pmix], [PMIX], [pmix >= 4.0], [PMIx guests, as Open MPI is one])
  CT_PMIX_HEADERS
  AS_IF([test $ct_have_pmix_headers = no], [
    dnl the pmix.pc of Debian 11 names another place than that of the files
    ct_dir=`$PKG_CONFIG --variable=libdir pmix`/pmix2
    PMIX_CFLAGS="-I$ct_dir/include"
    PMIX_LIBS="-L$ct_dir/lib -lpmix"
    CT_PMIX_HEADERS
  ])
  AS_IF([test $ct_have_pmix_headers = no],
    [AC_MSG_ERROR([there is no pmix_server.h where pkg-config says; dnl
PMIX_CFLAGS and PMIX_LIBS can tell])])
  CT_LAZY([pmix], [PMIx_Init], [$PMIX_LIBS], [PMIX_LIBRARY])
  CT_PMIX_FUNCTIONS
])

# What macros of the header call differs between versions.
AC_DEFUN([CT_PMIX_FUNCTIONS], [
  ct_save_CPPFLAGS=$CPPFLAGS
  CPPFLAGS="$CPPFLAGS $PMIX_CFLAGS"
  AC_CHECK_DECLS([PMIx_Info_load, PMIx_Value_free], [], [],
    [[#include <pmix.h>]])
  CPPFLAGS=$ct_save_CPPFLAGS
])

AC_DEFUN([CT_PMIX_HEADERS], [
  AC_MSG_CHECKING([for pmix_server.h with "$PMIX_CFLAGS"])
  ct_have_pmix_headers=no
  ct_save_CPPFLAGS=$CPPFLAGS
  CPPFLAGS="$CPPFLAGS $PMIX_CFLAGS"
  AC_PREPROC_IFELSE([AC_LANG_SOURCE([[#include <pmix_server.h>]])],
    [ct_have_pmix_headers=yes])
  CPPFLAGS=$ct_save_CPPFLAGS
  AC_MSG_RESULT([$ct_have_pmix_headers])
])
