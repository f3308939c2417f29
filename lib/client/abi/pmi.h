/*
 * PMI-1 as libpmi.so.0 has it: MPICH's pmi.h and Slurm's, in one. How to use
 * the library: libpmi(7).
 *
 * All functions may be called by any thread. They return PMI_SUCCESS or one of
 * the other codes; PMI_ERR_INIT before PMI_Init() and after PMI_Finalize(),
 * PMI_ERR_INVALID_ARG for a NULL where something is to be written or read.
 * Strings are NUL-terminated, and lengths of buffers count the NUL.
 */
#ifndef PMI_H_INCLUDED
#define PMI_H_INCLUDED

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
#define PMI_VERSION 1
#define PMI_SUBVERSION 1
#endif

#define PMI_SUCCESS 0
#define PMI_FAIL (-1)
#define PMI_ERR_INIT 1
#define PMI_ERR_NOMEM 2
#define PMI_ERR_INVALID_ARG 3
#define PMI_ERR_INVALID_KEY 4
#define PMI_ERR_INVALID_KEY_LENGTH 5
#define PMI_ERR_INVALID_VAL 6
#define PMI_ERR_INVALID_VAL_LENGTH 7
#define PMI_ERR_INVALID_LENGTH 8
#define PMI_ERR_INVALID_NUM_ARGS 9
#define PMI_ERR_INVALID_ARGS 10
#define PMI_ERR_INVALID_NUM_PARSED 11
#define PMI_ERR_INVALID_KEYVALP 12
#define PMI_ERR_INVALID_SIZE 13
#define PMI_ERR_INVALID_KVS 14

typedef int PMI_BOOL;
#define PMI_TRUE 1
#define PMI_FALSE 0

#define PMI_MAX_PORT_NAME 1024

#ifndef PMI_KEYVAL_T_DEFINED
#define PMI_KEYVAL_T_DEFINED
typedef struct PMI_keyval_t {
    char *key;
    char *val;
} PMI_keyval_t;
#endif

/* May be called again, also after PMI_Finalize() if the server allows that. */
int PMI_Init(int *spawned);
int PMI_Initialized(PMI_BOOL *initialized);
int PMI_Finalize(void);

/* Print the text and end the whole job. Does not return. */
int PMI_Abort(int exit_code, const char error_msg[]);

int PMI_Get_size(int *size);
int PMI_Get_rank(int *rank);
int PMI_Get_universe_size(int *size);
int PMI_Get_appnum(int *appnum);

/* The name of the job, which is that of its KVS. */
int PMI_Get_id(char id_str[], int length);
int PMI_Get_kvs_domain_id(char id_str[], int length);
int PMI_Get_id_length_max(int *length); /* as those of the KVS below */

/* Ranks of this node, ascending; at least the one that asks. */
int PMI_Get_clique_size(int *size);
int PMI_Get_clique_ranks(int ranks[], int length);

/* What was put before is got by all afterwards. */
int PMI_Barrier(void);

/*
 * The same among some ranks, as in MPICH 5; stringtag tells those apart that
 * are under way at once. PMI_FAIL where the server does not speak PMI-1.2.
 */
#define PMI_GROUP_WORLD ((int *)0)
#define PMI_GROUP_SELF ((int *)1)
#define PMI_GROUP_NODE ((int *)2)
int PMI_Barrier_group(const int *group, int count, const char *stringtag);

int PMI_KVS_Get_my_name(char kvsname[], int length);

/* At any time; before PMI_Init() the most that there can be. */
int PMI_KVS_Get_name_length_max(int *length);
int PMI_KVS_Get_key_length_max(int *length);
int PMI_KVS_Get_value_length_max(int *length);
int PMI_KVS_Put(const char kvsname[], const char key[], const char value[]);
int PMI_KVS_Commit(const char kvsname[]);

/* PMI_FAIL: nobody has put it; PMI_ERR_INVALID_LENGTH: it does not fit. */
int PMI_KVS_Get(const char kvsname[], const char key[], char value[],
                int length);

/* A job has one KVS, and it cannot be listed: these return PMI_FAIL. */
int PMI_KVS_Create(char kvsname[], int length);
int PMI_KVS_Destroy(const char kvsname[]);
int PMI_KVS_Iter_first(const char kvsname[], char key[], int key_len,
                       char val[], int val_len);
int PMI_KVS_Iter_next(const char kvsname[], char key[], int key_len, char val[],
                      int val_len);

int PMI_Publish_name(const char service_name[], const char port[]);
int PMI_Unpublish_name(const char service_name[]);

/* port has room for PMI_MAX_PORT_NAME bytes. */
int PMI_Lookup_name(const char service_name[], char port[]);

/* errors has room for the sum of maxprocs. */
int PMI_Spawn_multiple(int count, const char *cmds[], const char **argvs[],
                       const int maxprocs[], const int info_keyval_sizesp[],
                       const PMI_keyval_t *info_keyval_vectors[],
                       int preput_keyval_size,
                       const PMI_keyval_t preput_keyval_vector[], int errors[]);

/* There are no arguments of PMI's own: these find none. */
int PMI_Parse_option(int num_args, char *args[], int *num_parsed,
                     PMI_keyval_t **keyvalp, int *size);
PMI_EXTENSION int PMI_Args_to_keyval(int *argcp, char *((*argvp)[]),
                                     PMI_keyval_t **keyvalp, int *size);
int PMI_Free_keyvals(PMI_keyval_t keyvalp[], int size);
int PMI_Get_options(char *str, int *length);

#undef PMI_EXTENSION

#if defined(__cplusplus)
}
#endif

#endif
