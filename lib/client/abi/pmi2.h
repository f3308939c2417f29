/*
 * PMI-2 as libpmi2.so.0 has it: MPICH's pmi2.h and Slurm's, in one. How to use
 * the library: libpmi(7).
 *
 * All functions may be called by any thread. They return PMI2_SUCCESS or one of
 * the other codes; PMI2_ERR_INIT before PMI2_Init() and after PMI2_Finalize(),
 * PMI2_ERR_INVALID_ARG for a NULL where something is to be written or read.
 * Strings are NUL-terminated, and lengths of buffers count the NUL.
 */
#ifndef PMI2_H_INCLUDED
#define PMI2_H_INCLUDED

#if defined(__cplusplus)
extern "C" {
#endif

/* What is younger than the language that is asked for with -pedantic. */
#if defined(__GNUC__)
#define PMI_EXTENSION __extension__
#else
#define PMI_EXTENSION
#endif

#ifndef PMI_VERSION
#define PMI_VERSION 2
#define PMI_SUBVERSION 0
#endif

#define PMI2_MAX_KEYLEN 64
#define PMI2_MAX_VALLEN 1024
#define PMI2_MAX_ATTRVALUE 1024
#define PMI2_ID_NULL (-1)

#define PMI2_SUCCESS 0
#define PMI2_FAIL (-1)
#define PMI2_ERR_INIT 1
#define PMI2_ERR_NOMEM 2
#define PMI2_ERR_INVALID_ARG 3
#define PMI2_ERR_INVALID_KEY 4
#define PMI2_ERR_INVALID_KEY_LENGTH 5
#define PMI2_ERR_INVALID_VAL 6
#define PMI2_ERR_INVALID_VAL_LENGTH 7
#define PMI2_ERR_INVALID_LENGTH 8
#define PMI2_ERR_INVALID_NUM_ARGS 9
#define PMI2_ERR_INVALID_ARGS 10
#define PMI2_ERR_INVALID_NUM_PARSED 11
#define PMI2_ERR_INVALID_KEYVALP 12
#define PMI2_ERR_INVALID_SIZE 13
#define PMI2_ERR_OTHER 14

#ifndef PMI_KEYVAL_T_DEFINED
#define PMI_KEYVAL_T_DEFINED
typedef struct PMI_keyval_t {
    char *key;
    char *val;
} PMI_keyval_t;
#endif

/* MPICH's pair. */
typedef struct PMI2_keyval_t {
    const char *key;
    const char *val;
} PMI2_keyval_t;

/* Slurm's. */
typedef struct MPID_Info {
    int handle;
    int pobj_mutex;
    int ref_count;
    struct MPID_Info *next;
    char *key;
    char *value;
} MPID_Info;

#define PMI2U_Info MPID_Info

typedef struct PMI2_Connect_comm {
    int (*read)(void *buf, int maxlen, void *ctx);
    int (*write)(const void *buf, int len, void *ctx);
    void *ctx;
    PMI_EXTENSION union {
        int isMaster;
        int isMain; /* MPICH's name since 4.0 */
    };
} PMI2_Connect_comm_t;

/* May be called again, also after PMI2_Finalize() if the server allows that. */
int PMI2_Init(int *spawned, int *size, int *rank, int *appnum);
int PMI2_Finalize(void);
int PMI2_Initialized(void);
int PMI2_Set_threaded(int is_threaded); /* it always is */

/* Print msg and end the whole job, whatever flag is. Does not return. */
int PMI2_Abort(int flag, const char msg[]);

/*
 * Start a job. info_keyval_vectors is an array of pointers to arrays of
 * PMI2_keyval_t or MPID_Info; preput_keyval_vector an array of PMI2_keyval_t,
 * or of pointers to MPID_Info. Which it is shows in what they hold.
 * errors has room for count numbers.
 */
int PMI2_Job_Spawn(int count, const char *cmds[], int argcs[],
                   const char **argvs[], const int maxprocs[],
                   const int info_keyval_sizes[],
                   const void *info_keyval_vectors, int preput_keyval_size,
                   const void *preput_keyval_vector, char jobId[],
                   int jobIdSize, int errors[]);

int PMI2_Job_GetId(char jobid[], int jobid_size);
int PMI2_Job_GetRank(int *rank);

/* Only the server is asked: conn is neither read nor written. */
int PMI2_Job_Connect(const char jobid[], PMI2_Connect_comm_t *conn);
int PMI2_Job_Disconnect(const char jobid[]);

int PMI2_KVS_Put(const char key[], const char value[]);
int PMI2_KVS_Fence(void);

/*
 * jobid NULL: ours; src_pmi_id: who has put it, or PMI2_ID_NULL. *vallen is the
 * length, or that with a minus when it is more than maxvalue takes.
 * PMI2_ERR_OTHER: nobody has put it.
 */
int PMI2_KVS_Get(const char *jobid, int src_pmi_id, const char key[],
                 char value[], int maxvalue, int *vallen);

/* waitfor: return when it is there. */
int PMI2_Info_GetNodeAttr(const char name[], char value[], int valuelen,
                          int *found, int waitfor);
int PMI2_Info_GetNodeAttrIntArray(const char name[], int array[], int arraylen,
                                  int *outlen, int *found);
int PMI2_Info_PutNodeAttr(const char name[], const char value[]);
int PMI2_Info_GetJobAttr(const char name[], char value[], int valuelen,
                         int *found);
int PMI2_Info_GetJobAttrIntArray(const char name[], int array[], int arraylen,
                                 int *outlen, int *found);

/* Ranks on this node. */
int PMI2_Info_GetSize(int *size);

/* info_ptr (PMI2_keyval_t or MPID_Info) is not used. */
int PMI2_Nameserv_publish(const char service_name[], const void *info_ptr,
                          const char port[]);
int PMI2_Nameserv_lookup(const char service_name[], const void *info_ptr,
                         char port[], int portLen);
int PMI2_Nameserv_unpublish(const char service_name[], const void *info_ptr);

/*
 * All ranks in a ring: who we are in it, how many they are, and the values of
 * our neighbours, which have room for maxvalue bytes.
 */
#define HAVE_PMIX_RING 1
int PMIX_Ring(const char value[], int *rank, int *ranks, char left[],
              char right[], int maxvalue);

#undef PMI_EXTENSION

#if defined(__cplusplus)
}
#endif

#endif
