/* In:     a file for the report, a file whose coming ends it, and how it goes on: "apart", "alike" (the edge is of its own
 *         user, and may be signalled), "stop" (it stops processes of its own user that hold what the master gave them).
 * Out:    GOT lines: what could be read, traced, opened or signalled of the master, the edge and other apps; at last the
 *         count of tries and of the edges it has seen.
 * Actors: runs as an app's user, started by a worker: its master is the parent of its parent.
 * Never:  does it look away: it goes through all children of the master, and the next numbers of processes, until it ends. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static FILE *report;
static long tries;
static int counted, stopped;
static int alike;
static int edges[4096], edge_count;

static int cat(const char *path, char *into, int size) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return -1;
    int count = read(file, into, size - 1);
    close(file);
    into[count > 0 ? count : 0] = 0;
    return count;
}

static int line_of(pid_t pid, char *into, int size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
    int count = cat(path, into, size);
    for (int at = 0; at < count - 1; at++)
        if (!into[at]) into[at] = ' ';
    return count;
}

static int uid_of(pid_t pid) {
    char path[64], text[4096], *at;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    if (cat(path, text, sizeof text) < 0) return -1;
    at = strstr(text, "\nUid:\t");
    return at ? atoi(at + 6) : -1;
}

/* What was got is a theft if it is not the thief's own. */
static void got(pid_t pid, const char *what, int reads) {
    char line[512] = "", message[700];
    line_of(pid, line, sizeof line);
    int own = uid_of(pid) == (int)getuid();
    if (own && !(alike && reads && strstr(line, "hallway: edge"))) return;
    if (uid_of(pid) < 0) return; /* it has ended meanwhile: of whom this was cannot be told */
    snprintf(message, sizeof message, "GOT %s of %d (uid %d): %s", what, pid, uid_of(pid), line);
    fprintf(report, "%s\n", message);
    fflush(report);
}

/* Everything that can be tried on one process; how much of it went well. */
static int try(pid_t pid, void (*count)(pid_t, const char *, int)) {
    static const char *files[] = {"mem", "environ", "maps", "smaps", "auxv", "syscall", "stack", "io", "personality",
                                  "pagemap", "clear_refs", "fd", "fdinfo", "map_files", "ns", "timers", NULL};
    char path[96], link[256];
    int done = 0;
    char line[512] = "";
    /* Its own app's are its own. */
    line_of(pid, line, sizeof line);
    if (count == got && uid_of(pid) == (int)getuid() && !(alike && strstr(line, "hallway: edge"))) return 0;
    for (int at = 0; files[at]; at++) {
        snprintf(path, sizeof path, "/proc/%d/%s", pid, files[at]);
        int file = open(path, O_RDONLY | O_CLOEXEC);
        if (file < 0) continue;
        /* Some are checked when they are read. */
        char byte[64];
        int is_directory = !strcmp(files[at], "fd") || !strcmp(files[at], "fdinfo") || !strcmp(files[at], "map_files") ||
                           !strcmp(files[at], "ns");
        if (is_directory ? syscall(SYS_getdents64, file, link, sizeof link) > 0 && strcmp(files[at], "ns")
                         : !strcmp(files[at], "mem") || !strcmp(files[at], "clear_refs") || read(file, byte, sizeof byte) > 0)
            count(pid, files[at], 1), done++;
        close(file);
    }
    for (int number = 0; number < 40; number++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, number);
        int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (file >= 0) count(pid, path, 1), done++, close(file);
        else if (readlink(path, link, sizeof link) > 0) count(pid, path, 1), done++;
    }
    static const char *links[] = {"exe", "cwd", "root", NULL};
    for (int at = 0; links[at]; at++) {
        snprintf(path, sizeof path, "/proc/%d/%s", pid, links[at]);
        if (readlink(path, link, sizeof link) > 0) count(pid, links[at], 1), done++;
    }
    char there[16];
    struct iovec ours = {there, sizeof there}, theirs = {(void *)0x400000, sizeof there};
    if (process_vm_readv(pid, &ours, 1, &theirs, 1, 0) >= 0 || (errno != EPERM && errno != ESRCH && errno != EINVAL))
        count(pid, "process_vm_readv", 1), done++;
    if (ptrace(PTRACE_SEIZE, pid, 0, 0) == 0) {
        count(pid, "ptrace", 1), done++;
        ptrace(PTRACE_INTERRUPT, pid, 0, 0);
        int status;
        waitpid(pid, &status, __WALL);
        ptrace(PTRACE_DETACH, pid, 0, 0);
    }
    int process = syscall(SYS_pidfd_open, pid, 0);
    if (process >= 0) {
        for (int number = 0; number < 24; number++) {
            int file = syscall(SYS_pidfd_getfd, process, number, 0);
            if (file >= 0) count(pid, "pidfd_getfd", 1), done++, close(file);
        }
        if (syscall(SYS_pidfd_send_signal, process, SIGCONT, NULL, 0) == 0) count(pid, "pidfd_send_signal", 0), done++;
        close(process);
    }
    if (kill(pid, SIGCONT) == 0) count(pid, "kill", 0), done++;
    if (kill(-pid, 0) == 0) count(pid, "kill of its group", 0), done++;
    union sigval value = {0};
    if (sigqueue(pid, SIGCONT, value) == 0) count(pid, "sigqueue", 0), done++;
    struct rlimit limit;
    if (prlimit(pid, RLIMIT_NOFILE, NULL, &limit) == 0) count(pid, "prlimit", 0), done++;
    cpu_set_t cores;
    if (sched_getaffinity(0, sizeof cores, &cores) == 0 && sched_setaffinity(pid, sizeof cores, &cores) == 0)
        count(pid, "sched_setaffinity", 0), done++;
    tries++;
    return done;
}

static void count_only(pid_t pid, const char *what, int reads) { (void)pid, (void)what, (void)reads, counted++; }

/* What is tried works where it is allowed: on a child of one's own. */
static void control(void) {
    pid_t child = fork();
    if (!child) {
        for (;;) pause();
    }
    usleep(20000);
    try(child, count_only);
    fprintf(report, "CONTROL %d\n", counted);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

/* Descriptors that a worker left open for programs that it starts. */
static void inherited(void) {
    char path[64], link[256];
    for (int number = 3; number < 1024; number++) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", number);
        int length = readlink(path, link, sizeof link - 1);
        if (length <= 0 || number == fileno(report)) continue;
        link[length] = 0;
        fprintf(report, "GOT an inherited descriptor: %d is %s\n", number, link);
    }
}

/* Sockets without a place in the file system are anybody's to connect to. */
static void abstract_sockets(void) {
    char line[512];
    FILE *table = fopen("/proc/net/unix", "re");
    while (table && fgets(line, sizeof line, table)) {
        if (strstr(line, "hallway") && strchr(line, '@')) fprintf(report, "GOT an abstract socket: %s", line);
        char *path = strchr(line, '/');
        if (!path || !strstr(path, "hallway")) continue;
        path[strcspn(path, "\n")] = 0;
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        strncpy(address.sun_path, path, sizeof address.sun_path - 1);
        int one = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (connect(one, (struct sockaddr *)&address, sizeof address) == 0) fprintf(report, "GOT the socket %s\n", path);
        close(one);
    }
    if (table) fclose(table);
    int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (terminal >= 0) fprintf(report, "GOT the terminal of who started hallway\n");
}

static void note_edge(pid_t pid) {
    char line[512] = "";
    line_of(pid, line, sizeof line);
    if (!strstr(line, "hallway: edge")) return;
    for (int at = 0; at < edge_count; at++)
        if (edges[at] == pid) return;
    if (edge_count < 4096) edges[edge_count++] = pid;
    fprintf(report, "SEEN %d\n", pid);
    fflush(report);
}

/* Stops who has just become its own user, and is not its app yet: does the master wait for that one? */
static void stop(pid_t pid) {
    static char line[65536];
    line[0] = 0;
    if (uid_of(pid) != (int)getuid()) return;
    line_of(pid, line, sizeof line);
    /* With the title of a worker on its command line, and not yet in its place; or with that of the master. */
    int starts = strstr(line, "hallway: app thief") && strncmp(line, "hallway: app thief", 18);
    if (!starts && !strstr(line, "hallway: master")) return;
    if (kill(pid, SIGSTOP) == 0) fprintf(report, "STOPPED %d\n", pid), fflush(report), stopped++;
}

int main(int argc, char **words) {
    if (argc < 5) return 2;
    report = fopen(words[1], "we");
    pid_t master = atoi(words[3]);
    alike = !strcmp(words[4], "alike");
    int stops = !strcmp(words[4], "stop");
    signal(SIGCONT, SIG_IGN);
    inherited();
    abstract_sockets();
    control();
    fflush(report);
    char path[64], text[65536];
    /* It ends with its master, too: a story that has failed has no more for it to do. */
    while (access(words[2], F_OK) != 0 && uid_of(master) >= 0) {
        pid_t newest = 0;
        if (cat("/proc/loadavg", text, sizeof text) > 0) newest = atoi(strrchr(text, ' ') + 1);
        if (stops) {
            snprintf(path, sizeof path, "/proc/%d/task/%d/children", master, master);
            if (cat(path, text, sizeof text) > 0)
                for (char *word = strtok(text, " "); word && !stopped; word = strtok(NULL, " ")) stop(atoi(word));
            for (pid_t next = newest; next < newest + 4 && !stopped; next++) stop(next);
            continue;
        }
        try(master, got);
        snprintf(path, sizeof path, "/proc/%d/task/%d/children", master, master);
        if (cat(path, text, sizeof text) > 0)
            for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) note_edge(atoi(word)), try(atoi(word), got);
        /* Whoever is just being born. */
        for (pid_t next = newest; next < newest + 4; next++)
            if (next > 1 && next != getpid()) note_edge(next), try(next, got);
    }
    fprintf(report, "TRIES %ld EDGES %d\n", tries, edge_count);
    fclose(report);
    return 0;
}
