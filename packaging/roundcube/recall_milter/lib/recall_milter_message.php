<?php

/**
 * One message as its sender sees it. It can be several holds, when a server or a rule split its recipients: they have
 * one Message-ID, one bar, and one button.
 */
class recall_milter_message
{
    /** How many recipients are named; the others are counted. */
    const NAMED = 5;

    /**
     * Says how a message is, from all of its holds.
     *
     * state: waiting (a part can still be taken back), leaving, left, recalled (nobody gets it), partly (recalled for
     * some, and others have it). due: when the first part leaves, by our clock; null: no part waits. counts: how many
     * recipients have a result.
     *
     * @param array $holds Holds of one Message-ID, as the API lists them, the newest first
     * @param int   $ahead By how many seconds the gateway's clock is ahead of ours
     */
    public static function of(array $holds, int $ahead = 0): array
    {
        $due     = [];
        $results = [];
        foreach ($holds as $hold) {
            if ($hold['state'] === 'held') {
                $due[] = strtotime($hold['due_at']) - $ahead;
            }
            foreach ($hold['recipients'] as $r) {
                $results += [$r['address'] => $r['result']];
            }
        }
        $named = [];
        foreach (array_slice($results, 0, self::NAMED, true) as $address => $result) {
            $named[] = ['address' => (string) $address, 'result' => $result];
        }
        return [
            'id'         => self::id($holds[0]),
            'subject'    => $holds[0]['subject'],
            'state'      => self::state(array_column($holds, 'state'), $results),
            'due'        => $due ? min($due) : null,
            'recipients' => $named,
            'more'       => count($results) - count($named),
            'counts'     => array_count_values($results),
        ];
    }

    /** Makes messages of holds, in the order of the holds. */
    public static function all(array $holds, int $ahead = 0): array
    {
        $groups = [];
        foreach ($holds as $hold) {
            $groups[self::id($hold)][] = $hold;
        }
        return array_map(function ($group) use ($ahead) {
            return self::of($group, $ahead);
        }, array_values($groups));
    }

    /** Names a message. Without a Message-ID, nothing tells which holds belong together. */
    private static function id(array $hold): string
    {
        return $hold['message_id'] !== '' ? $hold['message_id'] : $hold['id'];
    }

    private static function state(array $states, array $results): string
    {
        if (in_array('held', $states, true)) {
            return 'waiting';
        }
        if (in_array('releasing', $states, true)) {
            return 'leaving';
        }
        if (!in_array('released', $states, true)) {
            return 'recalled';
        }
        return in_array('recalled', $results, true) ? 'partly' : 'left';
    }
}
