# OpenPMIx. Looked for only: nothing is built with it yet.
AC_DEFUN([CT_PMIX], [
  CT_OPTIONAL([pmix], [PMIX], [pmix >= 4.0], [PMIx guests (not used yet)])
])
